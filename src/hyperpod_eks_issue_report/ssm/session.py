"""Runs one command on one node through a Session Manager session, and makes sure it ends.

Every end that the service did not bring about itself calls TerminateSession: a session that nobody
ends stays open on the node.
"""

from __future__ import annotations

import asyncio
import shlex
import ssl
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from hyperpod_eks_issue_report.errors import DocumentMissingError

from .course import Course, Opened, Wanted
from .endurance import finish, outlast
from .events import Stream
from .records import (
    ConnectionDropped,
    Deadlines,
    HandshakeCompleted,
    Notice,
    SessionOpened,
    SessionOutcome,
    SessionResumed,
    SessionService,
    SessionTicket,
)

__all__ = [
    "INTERACTIVE",
    "NON_INTERACTIVE",
    "ConnectionDropped",
    "Deadlines",
    "HandshakeCompleted",
    "Notice",
    "SessionOpened",
    "SessionOutcome",
    "SessionResumed",
    "SessionService",
    "SessionTicket",
    "Stream",
    "run_command",
]

NON_INTERACTIVE = "AWS-StartNonInteractiveCommand"
INTERACTIVE = "AWS-StartInteractiveCommand"

_DEFAULT_DEADLINES = Deadlines()


async def run_command(
    service: SessionService,
    target: str,
    argv: Sequence[str],
    *,
    on_output: Callable[[Stream, bytes], None],
    is_done: Callable[[], bool] = lambda: False,
    on_notice: Callable[[Notice], None] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    allow_plaintext: bool = False,
    deadlines: Deadlines = _DEFAULT_DEADLINES,
    reason: str = "HyperPod EKS Issue Report",
) -> SessionOutcome:
    """Run `argv` on a node and hand over its output until the session ends.

    Where AWS-StartNonInteractiveCommand does not exist, AWS-StartInteractiveCommand takes its
    place: then everything arrives as stdout, with a terminal's CRLF, and without an exit code.

    Args:
        service: StartSession, ResumeSession and TerminateSession.
        target: the node, as StartSession wants it.
        argv: the command and its arguments; the agent splits them as a shell would.
        on_output: called with each piece of output, in order; must not block.
        is_done: whether the output so far proves itself whole. A dropped connection then is a
            normal end, and the service gets only `deadlines.linger` to close the session.
        on_notice: called with what happens to the session.
        ssl_context: shared by all sessions; without it one that honours AWS_CA_BUNDLE.
        allow_plaintext: accept `ws://` addresses.
        deadlines: how long each part may take.
        reason: stands in the account's session history.

    Raises:
        StartSessionError: no session came about.
        SessionError: it came about and ended badly; it has been terminated.
    """
    wanted = Wanted(on_output, is_done, on_notice, ssl_context, allow_plaintext, deadlines)
    opened = await _open(service, target, shlex.join(argv), reason, deadlines.terminate)
    course = Course(service, opened, wanted)
    try:
        return await course.run()
    except BaseException:
        await course.abandon()
        raise


async def _open(
    service: SessionService, target: str, command: str, reason: str, patience: float
) -> Opened:
    """StartSession with the better document, or with the one that exists everywhere."""
    # Without separate streams the agent reports no exit code.
    parameters = {"command": [command], "separateOutputStream": ["true"]}
    start = service.start_session(target, NON_INTERACTIVE, parameters, reason)
    try:
        return Opened(await _started(service, start, patience), NON_INTERACTIVE, interactive=False)
    except DocumentMissingError:
        pass
    start = service.start_session(target, INTERACTIVE, {"command": [command]}, reason)
    return Opened(await _started(service, start, patience), INTERACTIVE, interactive=True)


async def _started(
    service: SessionService, start: Coroutine[Any, Any, SessionTicket], patience: float
) -> SessionTicket:
    """StartSession's answer; if cancelled, wait for it `patience` seconds and end that session."""
    task = asyncio.create_task(start)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await outlast(task, patience)
        if task.done() and not task.cancelled() and task.exception() is None:
            await finish(service.terminate_session(task.result().session_id), patience)
        raise
