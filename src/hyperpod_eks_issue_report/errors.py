"""Every error this package raises on purpose, as one tree.

IssueReportError
├── UsageError                 what was asked for cannot be done as it stands          exit 2
├── CredentialsError           no credentials, or they have expired                    exit 4
├── AccessDeniedError          an AWS call was refused                                 exit 4
├── ClusterNotFoundError       SageMaker knows no such cluster here                    exit 5
├── NoNodesError               the selection matches no node                           exit 5
├── BucketError                the bucket is missing, foreign or not writable          exit 6
├── ServiceError               an AWS service could not be reached or kept failing     exit 7
└── NodeError                  one node failed; never ends a run
    ├── StartSessionError          StartSession refused, throttled or not connected
    │   ├── TargetNotConnectedError
    │   ├── DocumentMissingError
    │   └── ThrottledError
    ├── SessionError               something went wrong in an open session
    │   ├── DialError                  the websocket could not be opened
    │   ├── HandshakeError             the agent's handshake failed or did not come
    │   ├── EncryptionRequiredError    the account asks for KMS encryption of sessions
    │   ├── SessionRefusedError        channel_closed with an error text before any data
    │   ├── SilentSessionError         nothing arrived for too long
    │   ├── SessionTimeoutError        the session's total time is over
    │   ├── SessionLostError           the connection dropped and could not be resumed
    │   └── DeliveryError              a message of ours was never acknowledged
    ├── IncompleteOutputError      the node's account of itself is cut short or garbled
    ├── NodeReportedError          the collector on the node said what stopped it
    ├── UploadUnverifiedError      S3 does not hold what the node announced
    └── NodeCancelledError         the run was interrupted before this node was done

Each error owns its exit code (`exit_code`), its name in summary.json (`code`) and a hint that
says what to do next (`hint`). Messages never hold tokens, credentials or presigned URLs.
"""

from __future__ import annotations

from typing import ClassVar


class IssueReportError(Exception):
    """Base of all errors: `str(error)` says what and why, `error.hint` what to do next."""

    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = self.default_hint if hint is None else hint

    @property
    def code(self) -> str:
        """The stable name of this kind of error, as it stands in summary.json."""
        return type(self).__name__.removesuffix("Error")


class UsageError(IssueReportError):
    exit_code = 2


class CredentialsError(IssueReportError):
    exit_code = 4
    default_hint = (
        "Sign in again (for example `aws sso login`), or name another profile with --profile."
    )


class AccessDeniedError(IssueReportError):
    exit_code = 4


class ClusterNotFoundError(IssueReportError):
    exit_code = 5


class NoNodesError(IssueReportError):
    exit_code = 5


class BucketError(IssueReportError):
    exit_code = 6


class ServiceError(IssueReportError):
    exit_code = 7
    default_hint = "Check the network, the proxy settings and the region, then run it again."


class NodeError(IssueReportError):
    """Something about one node; it is recorded with the node and never stops the others."""


class StartSessionError(NodeError):
    pass


class TargetNotConnectedError(StartSessionError):
    default_hint = (
        "The node's SSM agent has no connection to AWS. Look at the node's SageMaker status; if "
        "it is Running, reboot it with `aws sagemaker batch-reboot-cluster-nodes` or replace it."
    )


class DocumentMissingError(StartSessionError):
    default_hint = (
        "The region or account lacks the session document. Check that AWS-owned documents are "
        "allowed by your policies."
    )


class ThrottledError(StartSessionError):
    default_hint = (
        "StartSession is limited for the whole account. Stop other users of Session Manager, "
        "ask for a higher quota, or run again for the nodes that failed."
    )


class SessionError(NodeError):
    default_hint = "Run again for this node with --node and --debug."


class DialError(SessionError):
    default_hint = (
        "Check that ssmmessages of this region can be reached from here over HTTPS (firewall, "
        "HTTPS_PROXY, AWS_CA_BUNDLE)."
    )


class HandshakeError(SessionError):
    pass


class EncryptionRequiredError(SessionError):
    default_hint = (
        "Session Manager preferences of this account set a KMS key (document "
        "SSM-SessionManagerRunShell, kmsKeyId). Encrypted sessions are not supported yet: remove "
        "the key from the preferences for the time of the collection."
    )


class SessionRefusedError(SessionError):
    pass


class SilentSessionError(SessionError):
    default_hint = (
        "The node stopped answering in mid-session; it may be frozen or out of memory. Look at "
        "its console and consider a reboot."
    )


class SessionTimeoutError(SessionError):
    pass


class SessionLostError(SessionError):
    default_hint = "The connection dropped. Run again for this node with --node."


class DeliveryError(SessionError):
    pass


class IncompleteOutputError(NodeError):
    default_hint = (
        "The session's output ended before the collector's last line. Run again for this node."
    )


class NodeReportedError(NodeError):
    """The collector on the node named the stage that failed; `stage` and `reason` are its words."""

    def __init__(self, message: str, *, stage: str, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.stage = stage
        self.reason = reason

    @property
    def code(self) -> str:
        return self.reason


class UploadUnverifiedError(NodeError):
    pass


class NodeCancelledError(NodeError):
    default_hint = "The run was interrupted. Run again for this node with --node."
