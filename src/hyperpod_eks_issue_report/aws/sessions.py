"""StartSession, ResumeSession and TerminateSession through boto3, for `ssm.session`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from hyperpod_eks_issue_report.aws.clients import Clients
from hyperpod_eks_issue_report.aws.failures import (
    CREDENTIAL_CODES,
    DENIED_CODES,
    THROTTLE_CODES,
    code_of,
    text_of,
    translate,
)
from hyperpod_eks_issue_report.errors import (
    DocumentMissingError,
    IssueReportError,
    StartSessionError,
    TargetNotConnectedError,
    ThrottledError,
)
from hyperpod_eks_issue_report.ssm.session import SessionTicket


class BotoSessions:
    """A `SessionService` on boto3; each call runs once, in the clients' thread pool."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def start_session(
        self, target: str, document: str, parameters: Mapping[str, Sequence[str]], reason: str
    ) -> SessionTicket:
        """One StartSession call.

        Raises:
            TargetNotConnectedError, DocumentMissingError, ThrottledError, StartSessionError.
        """
        call = partial(
            self._clients.ssm.start_session,
            Target=target,
            DocumentName=document,
            Parameters=parameters,
            Reason=reason,
        )
        try:
            return _ticket(await self._clients.call(call))
        except ClientError as error:
            raise _start_error(error, target, document) from error
        except BotoCoreError as error:
            raise _as_node_error(translate(error, "StartSession", "ssm:StartSession")) from error

    async def resume_session(self, session_id: str) -> SessionTicket | None:
        """A fresh token for a living session; None when the service says it is over.

        Raises:
            ThrottledError, ServiceError: worth another attempt.
        """
        call = partial(self._clients.ssm.resume_session, SessionId=session_id)
        try:
            ticket = _ticket(await self._clients.call(call))
        except ClientError as error:
            if code_of(error) == "DoesNotExistException":
                return None
            if code_of(error) in THROTTLE_CODES:
                raise ThrottledError("ResumeSession is being throttled.") from error
            raise translate(error, "ResumeSession", "ssm:ResumeSession") from error
        except BotoCoreError as error:
            raise translate(error, "ResumeSession", "ssm:ResumeSession") from error
        return ticket if ticket.token else None

    async def terminate_session(self, session_id: str) -> None:
        """End a session; one that has ended already is no error."""
        call = partial(self._clients.ssm.terminate_session, SessionId=session_id)
        try:
            await self._clients.call(call)
        except ClientError as error:
            if code_of(error) == "DoesNotExistException":
                return
            raise translate(error, "TerminateSession", "ssm:TerminateSession") from error
        except BotoCoreError as error:
            raise translate(error, "TerminateSession", "ssm:TerminateSession") from error


def _ticket(answer: Any) -> SessionTicket:
    return SessionTicket(
        session_id=str(answer.get("SessionId") or ""),
        token=str(answer.get("TokenValue") or ""),
        stream_url=str(answer.get("StreamUrl") or ""),
    )


def _start_error(error: ClientError, target: str, document: str) -> StartSessionError:
    code = code_of(error)
    if code == "TargetNotConnected":
        return TargetNotConnectedError(f"{target} is not connected to Session Manager.")
    if code in {"InvalidDocument", "InvalidDocumentException"}:
        return DocumentMissingError(f"The session document {document} does not exist here.")
    if code in THROTTLE_CODES:
        return ThrottledError("StartSession is being throttled (Rate exceeded).")
    if code in DENIED_CODES | CREDENTIAL_CODES:
        return _as_node_error(translate(error, "StartSession", "ssm:StartSession"))
    return StartSessionError(
        f"StartSession failed: {code}: {text_of(error)}",
        hint="Run again for this node with --node; if it stays, look at the node's status.",
    )


def _as_node_error(error: IssueReportError) -> StartSessionError:
    """A node's error that keeps the name of what it is, such as AccessDenied."""
    wrapped = NamedStartSessionError(str(error), hint=error.hint)
    wrapped.name = error.code
    return wrapped


class NamedStartSessionError(StartSessionError):
    """A StartSession failure known by the name of its cause."""

    name = "StartSession"

    @property
    def code(self) -> str:
        return self.name
