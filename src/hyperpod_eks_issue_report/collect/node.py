"""One node's life in a run: session, the node's account, and what S3 really holds of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hyperpod_eks_issue_report import events
from hyperpod_eks_issue_report.collect.account import NodeAccount, Stopwatch
from hyperpod_eks_issue_report.errors import (
    IncompleteOutputError,
    IssueReportError,
    NodeCancelledError,
    NodeError,
    NodeReportedError,
    UploadUnverifiedError,
)
from hyperpod_eks_issue_report.model import Failure, Node, NodeResult, Plan
from hyperpod_eks_issue_report.script.hints import HINTS
from hyperpod_eks_issue_report.script.lines import Tarball
from hyperpod_eks_issue_report.ssm.session import (
    HandshakeCompleted,
    Notice,
    SessionOpened,
    SessionOutcome,
    Stream,
)

logger = logging.getLogger(__name__)


class Stored(Protocol):
    """What S3 holds under a key."""

    @property
    def bytes(self) -> int: ...
    @property
    def md5(self) -> str | None: ...


class ResultStore(Protocol):
    """The bucket, as far as one node needs it."""

    async def head(self, key: str) -> Stored | None: ...
    async def sha256(self, key: str) -> str: ...


class RunCommand(Protocol):
    """`ssm.session.run_command` with everything but the node already given."""

    def __call__(
        self,
        target: str,
        argv: Sequence[str],
        *,
        on_output: Callable[[Stream, bytes], None],
        is_done: Callable[[], bool],
        on_notice: Callable[[Notice], None],
    ) -> Awaitable[SessionOutcome]: ...


@dataclass(frozen=True, slots=True)
class NodeWork:
    """What one node is to do: its target, the bootstrap's argv (made when its turn has come, as
    its URLs are short-lived) and the key its tarball goes to."""

    target: str
    argv: Callable[[], Sequence[str]]
    result_key: str
    plan: Plan


class NodeRun:
    """Carries the work to one node and returns its result; a node's error stays the node's."""

    def __init__(
        self,
        node: Node,
        work: NodeWork,
        run_command: RunCommand,
        store: ResultStore,
        sink: events.EventSink = events.ignore,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._work = work
        self._run_command = run_command
        self._store = store
        self._sink = sink
        self._now = now
        self._watch = Stopwatch(clock)
        self._watch.mark("queued")
        self._account = NodeAccount(node.name, work.plan, self._watch, sink, now)
        self._session_id = ""
        self._agent_version = ""
        self._exit_code: int | None = None
        self._stored: Stored | None = None
        self._verified_by: str | None = None

    async def run(self) -> NodeResult:
        """Never raises for the node's sake.

        Raises:
            asyncio.CancelledError: after the session has been ended.
        """
        self._sink(events.NodeStarted(time=self._now(), node=self._node.name))
        try:
            session_error = await self._session()
            await self._verify(session_error)
            failure = None
        except IssueReportError as error:
            failure = _failure(error)
        except Exception as error:
            # A fault of ours with one node must not cost the others their reports.
            logger.exception("unexpected error at %s", self._node.name)
            failure = Failure(
                error="Internal",
                message=f"An unexpected {type(error).__name__} occurred; this is a bug.",
                hint="Run again for this node with --node and --debug, and report what it prints.",
            )
        return self._finish(failure)

    def interrupted(self) -> NodeResult:
        """The result of a node whose run was cancelled."""
        return self._finish(
            _failure(NodeCancelledError("The run was stopped before this node was done."))
        )

    async def _session(self) -> NodeError | None:
        """Run the session; an error after the tarball was announced may yet be no failure."""
        try:
            outcome = await self._run_command(
                self._work.target,
                self._work.argv(),
                on_output=self._output,
                is_done=lambda: self._account.lines.done,
                on_notice=self._notice,
            )
        except NodeError as error:
            if self._account.tarball is None:
                raise self._explain(error) from error
            return error
        self._exit_code = outcome.exit_code
        return None

    def _explain(self, error: NodeError) -> NodeError:
        failed = self._account.failed
        return error if failed is None else _reported(failed.stage, failed.reason, failed.detail)

    def _output(self, stream: Stream, data: bytes) -> None:
        if stream is Stream.STDOUT:
            self._account.feed(data)
        else:
            self._account.lines.note(data)

    def _notice(self, notice: Notice) -> None:
        match notice:
            case SessionOpened():
                self._watch.mark("started")
                self._session_id = notice.session_id
            case HandshakeCompleted():
                self._watch.mark("connected")
                self._agent_version = notice.agent_version
                self._sink(
                    events.NodeConnected(
                        time=self._now(), node=self._node.name, session_id=notice.session_id
                    )
                )
            case _:
                pass

    async def _verify(self, session_error: NodeError | None) -> None:
        """Success is what S3 holds, compared with what the node announced."""
        account = self._account
        if account.tarball is None:
            if account.failed is not None:
                raise self._explain(IncompleteOutputError(""))
            raise await self._unannounced()
        self._stored = await self._store.head(self._work.result_key)
        if self._stored is None:
            if account.failed is not None:
                raise self._explain(IncompleteOutputError(""))
            raise session_error or UploadUnverifiedError(
                f"The node announced a tarball of {account.tarball.bytes} bytes, but S3 does not "
                "hold it.",
                hint="Run again for this node with --node.",
            )
        self._verified_by = await self._compare(account.tarball, self._stored)

    async def _unannounced(self) -> NodeError:
        """The output ended before the node said what it packed: look what is there."""
        self._stored = await self._store.head(self._work.result_key)
        kept = (
            f" S3 holds {self._stored.bytes} bytes from it that could not be checked."
            if self._stored
            else ""
        )
        if not self._account.lines.started:
            return IncompleteOutputError(
                "The session brought no line of the collector." + kept,
                hint="Look at the session log in summary.json: a shell profile or a wrapper may "
                "answer in the collector's place.",
            )
        return IncompleteOutputError(
            "The session's output ended before the tarball was announced." + kept
        )

    async def _compare(self, announced: Tarball, stored: Stored) -> str:
        if stored.bytes != announced.bytes:
            raise UploadUnverifiedError(
                f"S3 holds {stored.bytes} bytes, the node announced {announced.bytes}.",
                hint="Run again for this node with --node.",
            )
        if stored.md5 is not None:
            if stored.md5 == announced.md5:
                return "size and MD5"
        elif await self._store.sha256(self._work.result_key) == announced.sha256:
            return "size and SHA-256"
        raise UploadUnverifiedError(
            "What S3 holds differs from what the node announced (checksum).",
            hint="Run again for this node with --node.",
        )

    def _finish(self, failure: Failure | None) -> NodeResult:
        self._watch.mark("end")
        account, node, stored = self._account, self._node, self._stored
        result = NodeResult(
            instance_id=node.instance_id,
            instance_group=node.instance_group,
            instance_type=node.instance_type,
            logical_id=node.logical_id,
            sagemaker_status=node.status,
            sagemaker_message=node.status_message,
            success=failure is None,
            failure=failure,
            session_complete=account.lines.trailer_fits is True,
            script_via=account.script_via,
            upload_via=account.upload_via,
            s3_key=self._work.result_key if stored else None,
            s3_bytes=stored.bytes if stored else None,
            tarball_bytes=account.tarball.bytes if account.tarball else None,
            tarball_sha256=account.tarball.sha256 if account.tarball else None,
            verified_by=self._verified_by,
            exit_code=self._exit_code,
            agent_version=self._agent_version,
            session_id=self._session_id,
            seconds=self._watch.seconds(),
            commands=account.commands(),
            session_log=tuple(account.lines.log),
        )
        self._sink(finished(result, self._now()))
        return result


def finished(result: NodeResult, now: float) -> events.NodeFinished:
    """The event that tells a node's result."""
    return events.NodeFinished(
        time=now,
        node=result.name,
        success=result.success,
        seconds=result.seconds.total or 0.0,
        bytes=result.s3_bytes or 0,
        failure=result.failure,
    )


def _reported(stage: str, reason: str, detail: str) -> NodeReportedError:
    what, hint = HINTS.get(reason, (f"The collector failed ({reason}).", ""))
    message = f"{what} {detail}".strip()
    return NodeReportedError(message, stage=stage, reason=reason, hint=hint)


def _failure(error: IssueReportError) -> Failure:
    return Failure(error=error.code, message=str(error), hint=error.hint)


def failed_result(node: Node, failure: Failure) -> NodeResult:
    """The result of a node from which nothing came."""
    return NodeResult(
        instance_id=node.instance_id,
        instance_group=node.instance_group,
        instance_type=node.instance_type,
        logical_id=node.logical_id,
        sagemaker_status=node.status,
        sagemaker_message=node.status_message,
        failure=failure,
    )


class NoInstance:
    """The job of a node that has no instance yet: there is nothing to connect to."""

    def __init__(self, node: Node, sink: events.EventSink) -> None:
        self._node = node
        self._sink = sink

    async def run(self) -> NodeResult:
        return self.interrupted()

    def interrupted(self) -> NodeResult:
        told = f": {self._node.status_message}" if self._node.status_message else "."
        failure = Failure(
            error="NoInstance",
            message=f"The node has no instance yet{told}",
            hint="Wait until SageMaker has brought it up, or look at the cluster's events.",
        )
        result = failed_result(self._node, failure)
        self._sink(finished(result, time.time()))
        return result
