"""A node behind a real websocket: the SSM API's three calls and a scripted data channel."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from hyperpod_eks_issue_report.ssm.messages import PayloadType
from hyperpod_eks_issue_report.ssm.session import SessionTicket

from .peer import AgentPeer

SESSION_ID = "tester-0123456789abcdef0"
#: Must never be seen outside the ticket and the open frame.
SECRET_TOKEN = "TOKEN-of-the-session"
SECRET_QUERY = "role=publish_subscribe_QUERY"


class Link:
    """One websocket connection as the node's script sees it."""

    def __init__(self, websocket: ServerConnection, peer: AgentPeer) -> None:
        self.websocket = websocket
        self.peer = peer

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def start(self) -> None:
        self.peer.start(self.now)

    def emit(self, payload: bytes, payload_type: int = PayloadType.OUTPUT) -> None:
        self.peer.emit(payload, self.now, payload_type)

    def exit_code(self, code: int) -> None:
        self.emit(b"EXIT_CODE: %d" % code, PayloadType.EXIT_CODE)

    async def finish(self, closing_text: str = "") -> None:
        """Drain, send channel_closed and wait for the client to go."""
        self.peer.finish(self.now, closing_text)
        await self.pump(lambda: self.peer.closed)
        await self.websocket.wait_closed()

    async def send(self, *frames: bytes) -> None:
        for frame in frames:
            await self.websocket.send(frame)

    async def pump(self, until: Callable[[], bool] = lambda: False) -> None:
        """Run the agent model on this connection until a condition holds."""
        while True:
            for frame in self.peer.take_outgoing():
                await self.websocket.send(frame)
            if until():
                return
            due = self.peer.next_deadline()
            try:
                async with asyncio.timeout_at(due):
                    received = await self.websocket.recv()
            except TimeoutError:
                self.peer.tick(self.now)
            else:
                self.peer.receive(received, self.now)

    async def hello(self) -> None:
        """Take the open frame."""
        await self.pump(lambda: bool(self.peer.hellos))

    def drop(self) -> None:
        """The connection breaks without a close frame (1006)."""
        self.peer.dropped()
        self.websocket.transport.abort()


Script = Callable[[Link], Awaitable[None]]


@dataclass
class Node:
    """The service's API and what it has seen."""

    url: str = ""
    scripts: list[Script] = field(default_factory=list)
    peer: AgentPeer = field(default_factory=AgentPeer)
    start_errors: list[Exception] = field(default_factory=list)
    resume_answers: list[SessionTicket | Exception | None] = field(default_factory=list)
    before_start: Callable[[], Awaitable[None]] | None = None
    before_resume: Callable[[], Awaitable[None]] | None = None
    before_terminate: Callable[[], Awaitable[None]] | None = None

    started: list[tuple[str, str, dict[str, list[str]], str]] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    terminated: list[str] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    failures: list[BaseException] = field(default_factory=list)
    all_gone: asyncio.Event = field(default_factory=asyncio.Event)

    def ticket(self) -> SessionTicket:
        return SessionTicket(SESSION_ID, f"{SECRET_TOKEN}-{len(self.resumed)}", self.url)

    async def start_session(
        self, target: str, document: str, parameters: Mapping[str, Sequence[str]], reason: str
    ) -> SessionTicket:
        plain = {name: list(values) for name, values in parameters.items()}
        self.started.append((target, document, plain, reason))
        if self.before_start is not None:
            await self.before_start()
        if self.start_errors:
            raise self.start_errors.pop(0)
        return self.ticket()

    async def resume_session(self, session_id: str) -> SessionTicket | None:
        self.resumed.append(session_id)
        if self.before_resume is not None:
            await self.before_resume()
        answer = self.resume_answers.pop(0) if self.resume_answers else self.ticket()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def terminate_session(self, session_id: str) -> None:
        if self.before_terminate is not None:
            await self.before_terminate()
        self.terminated.append(session_id)

    async def handle(self, websocket: ServerConnection) -> None:
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        self.open_connections += 1
        self.all_gone.clear()
        self.peer.reconnected()
        try:
            await script(Link(websocket, self.peer))
        except ConnectionClosed:
            pass
        except Exception as error:
            self.failures.append(error)
            raise
        finally:
            self.open_connections -= 1
            if not self.open_connections:
                self.all_gone.set()


@asynccontextmanager
async def running(
    *scripts: Script, peer: AgentPeer | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Node]:
    """Serve a node that plays one script for each connection, the last one again and again.

    At the end no connection and no task of the client may be left.
    """
    node = Node(scripts=list(scripts), peer=peer or AgentPeer())
    node.all_gone.set()
    baseline = asyncio.all_tasks()
    async with serve(
        node.handle, "127.0.0.1", 0, ssl=tls, compression=None, ping_interval=None
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        scheme = "wss" if tls else "ws"
        host = "localhost" if tls else "127.0.0.1"
        node.url = f"{scheme}://{host}:{port}/v1/data-channel/{SESSION_ID}?{SECRET_QUERY}"
        yield node
        async with asyncio.timeout(5):
            await node.all_gone.wait()
    assert not node.failures
    extra = asyncio.all_tasks() - baseline - {asyncio.current_task()}
    if extra:
        _, left = await asyncio.wait(extra, timeout=5)
        assert not left, f"tasks left behind: {left}"


# --- scripts that many tests share ---------------------------------------------------------------


async def succeed(link: Link) -> None:
    """Two lines, exit code 0, an orderly end."""
    link.start()
    link.emit(b"first line\n")
    link.emit(b"second line\n")
    link.exit_code(0)
    await link.pump(lambda: link.peer.ready)
    await link.finish()


async def stay_mute(link: Link) -> None:
    """Take the open frame and say nothing at all."""
    await link.pump()


async def handshake_then_mute(link: Link) -> None:
    link.start()
    await link.pump()


async def carry_on(link: Link) -> None:
    """Go on with whatever the agent still has to say, then end in order."""
    await link.hello()
    await link.finish()
