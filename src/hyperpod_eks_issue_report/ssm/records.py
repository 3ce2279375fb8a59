"""What `session.run_command` takes, gives and tells: its doors and frozen records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SessionTicket:
    """StartSession's or ResumeSession's answer; token and address never show in its repr.

    The token opens one connection and is short-lived: dial at once.
    """

    session_id: str
    token: str = field(repr=False)
    stream_url: str = field(repr=False)


class SessionService(Protocol):
    """The three calls of the SSM API that a session needs."""

    async def start_session(
        self, target: str, document: str, parameters: Mapping[str, Sequence[str]], reason: str
    ) -> SessionTicket:
        """Start a session; throttling has already been retried.

        When the caller is cancelled meanwhile, this call is left running for a moment, so that
        a session that it starts can be terminated.

        Raises:
            StartSessionError: or one of its kinds (not connected, no such document, throttled).
        """
        ...

    async def resume_session(self, session_id: str) -> SessionTicket | None:
        """A new token for a living session; None when the session has ended.

        An empty `stream_url` means: dial the same address again.

        Raises:
            ServiceError, ThrottledError: worth another attempt. Other errors end the session.
        """
        ...

    async def terminate_session(self, session_id: str) -> None:
        """End a session; ending one that has ended is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each part of a session may take, in seconds.

    Attributes:
        dial: opening one websocket, from the name lookup to the upgrade.
        handshake: from the open websocket to HandshakeComplete.
        silence: without a new message of the agent.
        total: the whole session, from StartSession's answer.
        resume: bringing back a dropped connection.
        terminate: the TerminateSession call of an abnormal end.
        linger: waiting for the service to close after the caller has all it wants.
    """

    dial: float = 20.0
    handshake: float = 30.0
    silence: float = 120.0
    total: float = 1800.0
    resume: float = 60.0
    terminate: float = 10.0
    linger: float = 5.0


@dataclass(frozen=True, slots=True)
class SessionOutcome:
    """How a session ended. It says nothing about whether the command's output is whole.

    Attributes:
        exit_code: None unless the agent reported one with nothing missing before it.
        complete: closed by the service, and no message before the end is known to be missing.
        interactive: ran on a terminal: one stream, CRLF, no exit code.
        resumes: how often the connection was brought back.
    """

    session_id: str
    document: str
    exit_code: int | None
    closing_text: str
    complete: bool
    agent_version: str
    customer_message: str
    resumes: int
    interactive: bool


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """StartSession succeeded; the websocket is not open yet."""

    session_id: str
    document: str
    interactive: bool


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    """The agent is ready; not every session has a handshake."""

    session_id: str
    agent_version: str
    customer_message: str


@dataclass(frozen=True, slots=True)
class ConnectionDropped:
    """The websocket is gone and will be brought back if possible."""

    session_id: str


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """The websocket is back; `resumes` counts from 1."""

    session_id: str
    resumes: int


Notice = SessionOpened | HandshakeCompleted | ConnectionDropped | SessionResumed
