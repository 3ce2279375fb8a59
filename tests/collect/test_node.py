"""One node's life with a scripted session and a scripted bucket."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from hyperpod_eks_issue_report import events
from hyperpod_eks_issue_report.collect.node import NodeRun, NodeWork
from hyperpod_eks_issue_report.errors import (
    NodeError,
    SessionLostError,
    TargetNotConnectedError,
)
from hyperpod_eks_issue_report.model import NodeResult, Plan
from hyperpod_eks_issue_report.script.generate import user_tasks
from hyperpod_eks_issue_report.ssm.session import (
    HandshakeCompleted,
    Notice,
    SessionOpened,
    SessionOutcome,
    Stream,
)

from .nodes import node

BODY = b"a tarball"
SHA = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY).hexdigest()
PLAN = Plan(tasks=user_tasks(["true", "false"]))
TARBALL = f"tarball bytes={len(BODY)} sha256={SHA} md5={MD5}"


@dataclass
class Held:
    bytes: int
    md5: str | None


@dataclass
class Bucket:
    held: Held | None = None
    sha: str = SHA

    async def head(self, key: str) -> Held | None:
        return self.held

    async def sha256(self, key: str) -> str:
        return self.sha


def told(*records: str, rc: int = 0, trailer: bool = True) -> bytes:
    """A node's lines with their numbers, and the trailer that fits."""
    lines = "".join(f"@hpir 1 {n} {record}\n" for n, record in enumerate(records))
    if trailer:
        digest = hashlib.sha256(lines.encode()).hexdigest()
        lines += (
            f"@hpir 1 {len(records)} end lines={len(records)} bytes={len(lines)} "
            f"sha256={digest} rc={rc}\n"
        )
    return lines.encode()


BEGIN = (
    "begin time=2026-03-01T00:00:00Z bash=5.2 uid=0 host_b64=aXA=",
    "script via=node-role bytes=1",
)
GOOD = (
    *BEGIN,
    f"started index=1 id={PLAN.tasks[0].id}",
    f"finished index=1 id={PLAN.tasks[0].id} rc=0 ms=12 bytes=3 timeout=0",
    f"finished index=2 id={PLAN.tasks[1].id} rc=1 ms=5 bytes=4 timeout=0",
    TARBALL,
    "uploaded via=presigned-url",
)


@dataclass
class Session:
    """Stands for `run_command`: brings `stdout`, then ends as told."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = 0
    error: NodeError | None = None
    done: list[bool] = field(default_factory=list)

    async def __call__(
        self,
        target: str,
        argv: Sequence[str],
        *,
        on_output: Callable[[Stream, bytes], None],
        is_done: Callable[[], bool],
        on_notice: Callable[[Notice], None],
    ) -> SessionOutcome:
        on_notice(SessionOpened("s-1", "document", interactive=False))
        on_notice(HandshakeCompleted("s-1", "3.3.0.0", ""))
        on_output(Stream.STDERR, self.stderr)
        on_output(Stream.STDOUT, self.stdout)
        self.done.append(is_done())
        if self.error is not None:
            raise self.error
        return SessionOutcome(
            "s-1", "document", self.exit_code, "", True, "3.3.0.0", "", 0, interactive=False
        )


async def run(
    session: Session, bucket: Bucket, sink: events.EventSink = events.ignore
) -> NodeResult:
    work = NodeWork("target", lambda: ["bash"], "key", PLAN)
    return await NodeRun(node(1), work, session, bucket, sink).run()


def error_of(result: NodeResult) -> str:
    assert not result.success
    assert result.failure is not None
    assert result.failure.message
    assert result.failure.hint
    return result.failure.error


async def test_success_is_what_s3_holds_as_announced() -> None:
    seen: list[events.Event] = []
    session = Session(told(*GOOD))
    result = await run(session, Bucket(Held(len(BODY), MD5)), seen.append)
    assert result.success
    assert result.session_complete
    assert session.done == [True]
    assert (result.script_via, result.upload_via) == ("node-role", "presigned-url")
    assert (result.s3_bytes, result.tarball_sha256) == (len(BODY), SHA)
    assert result.verified_by == "size and MD5"
    assert [c.exit_code for c in result.commands] == [0, 1]
    kinds = [type(e).__name__ for e in seen]
    assert kinds == [
        "NodeStarted",
        "NodeConnected",
        "TaskStarted",
        "TaskFinished",
        "TaskFinished",
        "TarballReady",
        "NodeFinished",
    ]


async def test_an_exit_code_of_0_without_a_tarball_is_no_success() -> None:
    result = await run(Session(told(*BEGIN, trailer=False), exit_code=0), Bucket())
    assert error_of(result) == "IncompleteOutput"
    assert result.exit_code == 0


async def test_a_lying_exit_code_does_not_hide_what_s3_holds() -> None:
    result = await run(Session(told(*GOOD), exit_code=9), Bucket(Held(len(BODY), MD5)))
    assert result.success
    assert result.exit_code == 9


@pytest.mark.parametrize("held", [Held(len(BODY) - 1, MD5), Held(len(BODY), "0" * 32), None])
async def test_what_s3_holds_must_fit_what_was_announced(held: Held | None) -> None:
    result = await run(Session(told(*GOOD)), Bucket(held))
    assert error_of(result) == "UploadUnverified"


async def test_without_an_md5_the_object_is_read() -> None:
    good = await run(Session(told(*GOOD)), Bucket(Held(len(BODY), None)))
    assert good.success
    assert good.verified_by == "size and SHA-256"
    bad = await run(Session(told(*GOOD)), Bucket(Held(len(BODY), None), sha="0" * 64))
    assert error_of(bad) == "UploadUnverified"


async def test_a_connection_lost_after_the_upload_costs_nothing() -> None:
    session = Session(told(*GOOD, trailer=False), error=SessionLostError("dropped"))
    result = await run(session, Bucket(Held(len(BODY), MD5)))
    assert result.success
    assert not result.session_complete
    assert session.done == [False]


async def test_a_connection_lost_before_the_upload_is_named() -> None:
    session = Session(told(*GOOD[:-1], trailer=False), error=SessionLostError("dropped"))
    result = await run(session, Bucket())
    assert error_of(result) == "SessionLost"
    assert [c.exit_code for c in result.commands] == [0, 1]


async def test_output_cut_before_the_announcement_keeps_what_s3_holds() -> None:
    result = await run(Session(told(*GOOD[:3], trailer=False)), Bucket(Held(5, None)))
    assert error_of(result) == "IncompleteOutput"
    assert (result.s3_key, result.s3_bytes) == ("key", 5)
    assert [c.exit_code for c in result.commands] == [None, None]


async def test_what_the_node_says_stopped_it_is_the_reason() -> None:
    detail = base64.b64encode(b"/var/tmp: No space left on device").decode()
    lines = told(*BEGIN[:1], f"failed stage=stage reason=NoSpace detail_b64={detail}", rc=1)
    result = await run(Session(lines, exit_code=1), Bucket())
    assert error_of(result) == "NoSpace"
    assert result.failure is not None
    assert "No space left on device" in result.failure.message


async def test_garbage_from_a_node_is_an_error_with_its_last_words() -> None:
    noise = b"\x1b[31mlogin banner\x07\xff\xfe\n" * 100 + b"x" * 100_000
    result = await run(Session(noise, stderr=b"oh\n"), Bucket())
    assert error_of(result) == "IncompleteOutput"
    assert 0 < len(result.session_log) <= 40
    assert "login banner" in result.session_log[-1]
    assert not any("\x1b" in line or "\x07" in line for line in result.session_log)


async def test_a_start_that_is_refused_is_the_nodes_error() -> None:
    session = Session(error=TargetNotConnectedError("not connected"))
    assert error_of(await run(session, Bucket())) == "TargetNotConnected"


async def test_a_bug_of_ours_costs_one_node() -> None:
    class Broken(Bucket):
        async def head(self, key: str) -> Held | None:
            raise KeyError(key)

    assert error_of(await run(Session(told(*GOOD)), Broken())) == "Internal"
