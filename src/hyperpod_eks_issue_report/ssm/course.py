"""One open session's course from the first dial to its outcome, over one websocket after another.

The rules of the channel are in `channel`, the deadlines in `patience`, coming back in `comeback`;
here they meet the socket. One task does it all: there is no reader beside a writer.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from hyperpod_eks_issue_report.errors import SessionError, SessionLostError, SessionRefusedError

from . import connection
from .channel import DataChannel
from .comeback import STABLE, Comeback
from .endurance import finish
from .events import ChannelEvent, Closed, ExitCode, Failed, HandshakeDone, Output, Stream
from .patience import Patience
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

_log = logging.getLogger(__name__)

#: Columns and rows that the plugin reports when it has no terminal.
TERMINAL_SIZE = (300, 100)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller of `run_command` asked for."""

    on_output: Callable[[Stream, bytes], None]
    is_done: Callable[[], bool]
    on_notice: Callable[[Notice], None] | None
    ssl_context: ssl.SSLContext | None
    allow_plaintext: bool
    deadlines: Deadlines


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that StartSession gave, and by which document."""

    ticket: SessionTicket
    document: str
    interactive: bool


class _End(enum.Enum):
    """Why the conversation over one websocket stopped."""

    CLOSED = enum.auto()
    DROPPED = enum.auto()
    LINGERED = enum.auto()


class Course:
    """Carries one open session to its outcome; after an error, `abandon` is due."""

    __slots__ = (
        "_channel",
        "_closed",
        "_comeback",
        "_connected_at",
        "_exit_code",
        "_failure",
        "_handshake",
        "_heard_output",
        "_loop",
        "_opened",
        "_patience",
        "_progress",
        "_resumes",
        "_service",
        "_wanted",
        "_websocket",
    )

    def __init__(self, service: SessionService, opened: Opened, wanted: Wanted) -> None:
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._service = service
        self._opened = opened
        self._wanted = wanted
        self._patience = Patience(wanted.deadlines, now, expects_handshake=not opened.interactive)
        self._comeback = Comeback(service, wanted.deadlines.resume)
        self._channel = DataChannel(client_id=str(uuid4()), epoch_offset=time.time() - now)
        self._websocket: ClientConnection | None = None
        self._connected_at = now
        self._progress = 0
        self._resumes = 0
        self._handshake = HandshakeDone("", "")
        self._heard_output = False
        self._exit_code: int | None = None
        self._closed: Closed | None = None
        self._failure: SessionError | None = None

    @property
    def _session_id(self) -> str:
        return self._opened.ticket.session_id

    # --- from the first dial to the outcome -----------------------------------------------------

    async def run(self) -> SessionOutcome:
        """See the session through.

        Raises:
            SessionError: it ended badly; the session and the socket may still be open.
        """
        opened = self._opened
        self._notify(SessionOpened(self._session_id, opened.document, opened.interactive))
        if opened.interactive:
            self._channel.send_size(*TERMINAL_SIZE, self._loop.time())
        websocket = await self._dial(opened.ticket)
        while True:
            end = await self._converse(websocket)
            if end is _End.CLOSED:
                await connection.hang_up(websocket)
                self._raise_if_refused()
                return self._outcome()
            if self._patience.is_satisfied:
                await self.abandon()
                return self._outcome()
            websocket = await self._reconnect(websocket)

    async def abandon(self) -> None:
        """Leave no socket behind, and no session unless the service has closed it.

        Bounded by `deadlines.terminate`, and done even if the caller is cancelled meanwhile.
        """
        problem = await finish(self._drop_everything(), self._wanted.deadlines.terminate)
        if problem is not None:
            _log.debug("TerminateSession %s failed: %s", self._session_id, type(problem).__name__)

    async def _drop_everything(self) -> None:
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            await connection.abort(websocket)
        if self._closed is None:
            await self._service.terminate_session(self._session_id)

    async def _reconnect(self, dropped: ClientConnection) -> ClientConnection:
        now = self._loop.time()
        self._channel.disconnected()
        await connection.abort(dropped)
        if now - self._connected_at >= STABLE:
            self._comeback.proven()
        self._notify(ConnectionDropped(self._session_id))
        try:
            websocket = await self._comeback.bring_back(
                self._opened.ticket, self._dial, until=self._patience.end
            )
        except SessionLostError:
            self._patience.check_total(self._loop.time())
            raise
        self._resumes += 1
        self._notify(SessionResumed(self._session_id, self._resumes))
        return websocket

    # --- one websocket --------------------------------------------------------------------------

    async def _dial(self, ticket: SessionTicket) -> ClientConnection:
        websocket = await connection.dial(
            ticket.stream_url,
            ssl_context=self._wanted.ssl_context,
            allow_plaintext=self._wanted.allow_plaintext,
            timeout=self._wanted.deadlines.dial,
        )
        self._websocket = websocket
        self._connected_at = now = self._loop.time()
        self._patience.connected(now)
        self._channel.connected(ticket.token, now)
        return websocket

    async def _converse(self, websocket: ClientConnection) -> _End:
        """Exchange frames until the channel closes, the websocket drops or the linger is over."""
        channel, patience = self._channel, self._patience
        while True:
            now = self._loop.time()
            channel.tick(now)
            self._take_in(now)
            if self._closed is not None:
                return _End.CLOSED
            if patience.lingered(now) or (self._failure and patience.is_satisfied):
                return _End.LINGERED
            if self._failure is not None:
                await self._fail(websocket, self._failure)
            patience.check(channel.state, now)
            try:
                async with asyncio.timeout_at(self._wake_at()):
                    await self._write(websocket)
                    frame = await websocket.recv()
            except TimeoutError:
                continue
            except ConnectionClosed:
                return _End.DROPPED
            channel.receive(frame, self._loop.time())

    def _wake_at(self) -> float:
        due = self._patience.next(self._channel.state)
        resend = self._channel.next_deadline()
        return due if resend is None else min(due, resend)

    async def _write(self, websocket: ClientConnection) -> None:
        """Write what is outgoing; a drop is left for the reader, who may still find channel_closed.

        A deadline may cut this short: what was not written then is resent by either side.
        """
        try:
            for frame in self._channel.take_outgoing():
                await websocket.send(frame)
        except ConnectionClosed:
            pass

    async def _fail(self, websocket: ClientConnection, failure: SessionError) -> None:
        """Write the last answer, so that the agent knows why, and give up."""
        try:
            async with asyncio.timeout(connection.CLOSE_TIMEOUT):
                await self._write(websocket)
                await connection.hang_up(websocket)
        except TimeoutError:
            pass
        raise failure

    # --- what the channel tells -----------------------------------------------------------------

    def _take_in(self, now: float) -> None:
        if self._channel.delivered > self._progress:
            self._progress = self._channel.delivered
            self._comeback.proven()
            self._patience.heard(now)
        for event in self._channel.take_events():
            self._take_in_one(event)
        if not self._patience.is_satisfied and self._wanted.is_done():
            self._patience.satisfied(now)

    def _take_in_one(self, event: ChannelEvent) -> None:
        match event:
            case Output(stream, data):
                self._heard_output = True
                self._wanted.on_output(stream, data)
            case ExitCode(code):
                self._exit_code = code
            case HandshakeDone(version, message):
                self._handshake = event
                self._notify(HandshakeCompleted(self._session_id, version, message))
            case Closed():
                self._closed = event
            case Failed(error):
                self._failure = error

    def _raise_if_refused(self) -> None:
        """A session that was closed before it gave anything was refused."""
        if self._heard_output or self._exit_code is not None or self._closed is None:
            return
        if self._closed.text:
            raise SessionRefusedError(
                f"The session was closed before the command gave any output: {self._closed.text}"
            )
        if not self._opened.interactive and self._channel.delivered == 0:
            raise SessionRefusedError(
                "The session was closed, without a reason, before the node's SSM agent answered."
            )

    def _outcome(self) -> SessionOutcome:
        closed = self._closed or Closed("", complete=False)
        return SessionOutcome(
            session_id=self._session_id,
            document=self._opened.document,
            exit_code=None if self._opened.interactive else self._exit_code,
            closing_text=closed.text,
            complete=closed.complete,
            agent_version=self._handshake.agent_version,
            customer_message=self._handshake.customer_message,
            resumes=self._resumes,
            interactive=self._opened.interactive,
        )

    def _notify(self, notice: Notice) -> None:
        if self._wanted.on_notice is not None:
            self._wanted.on_notice(notice)
