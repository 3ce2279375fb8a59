"""One session: the service between a client's websocket and the agent on the node.

The agent's half is `agent_channel` (protocol) and `work` (what runs); this module is the service:
it carries frames over a faulty link, keeps the clocks and ends the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from . import service_frames, work
from .agent_channel import (
    RESEND_POLL,
    AgentChannel,
    AgentEvent,
    HandshakeFailed,
    Input,
    Ready,
    Resize,
    TerminateRequested,
)  # fmt: skip
from .documents import Document
from .link import FaultyLink, Passage
from .node_root import NodeRoot
from .scenario import AgentFaults, Ssm
from .world import Node

if TYPE_CHECKING:
    from aiohttp import web

    from .service import Hub

#: How long the agent waits for acknowledgements before and after saying Terminating.
DRAIN = 2.0
#: The service cuts a channel that was too fast for this long.
TOO_FAST_SECONDS = 2.0
ERROR_PREFIX = "\n----------ERROR-------\n"


class Session:
    """A session from StartSession to its end. `status` is what DescribeSessions says."""

    def __init__(
        self, *, session_id: str, node: Node, root: NodeRoot, document: Document, command: str,
        separate: bool, reason: str, owner: str, hub: Hub,
    ) -> None:  # fmt: skip
        self.session_id = session_id
        self.node = node
        self.root = root
        self.document = document
        self.command = command
        self.separate = separate
        self.reason = reason
        self.owner = owner
        self.document_name = ""
        self.status = "Connecting"
        self.started = time.time()
        self.ended: float | None = None
        self.agent_states: list[str] = []
        self.closing_text = ""
        self.connections = 0
        self.terminated_by_api = False
        self.bytes_sent = 0
        self.commands = work.WorkInput()
        self._hub = hub
        self.link = FaultyLink(node.settings.link)
        self.channel = AgentChannel(
            session_type=document.session_type,
            handshake=document.handshake,
            kms_key=self.ssm.kms_key,
            accepts_size=document.terminal,
            ignore_early_acks=self.faults.late_ack_race,
        )
        self._socket: web.WebSocketResponse | None = None
        self._abort: Any = None
        self._begun = False
        self._work: asyncio.Task[None] | None = None
        self._end_task: asyncio.Task[None] | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._changed = asyncio.Event()
        self._sending = asyncio.Lock()
        self._last_traffic = time.monotonic()
        self._recent: deque[float] = deque()
        self._too_fast_since: float | None = None
        self._paused_once = False

    @property
    def ssm(self) -> Ssm:
        return self._hub.scenario.ssm

    @property
    def faults(self) -> AgentFaults:
        return self.node.settings.agent

    @property
    def active(self) -> bool:
        return self.channel.active

    @property
    def over(self) -> bool:
        return self.status in ("Terminated", "Failed")

    # --- the client's websocket -------------------------------------------------------------

    async def serve(self, socket: web.WebSocketResponse, abort: Any) -> None:
        """Carry frames until this websocket ends; the session may outlive it."""
        self._socket, self._abort = socket, abort
        self.connections += 1
        self._set_status("Connected")
        if not self._begun:
            self._begun = True
            await self._begin()
        else:
            self.channel.resume()
            self._changed.set()
            self._schedule_tick()
        try:
            async for message in socket:
                if message.type.name == "BINARY":
                    await self._from_client(message.data)
                elif message.type.name == "ERROR":
                    break
        finally:
            if self._socket is socket:
                self._socket = None
                if not self.over:
                    self._set_status("Disconnected")
                    if self.ssm.pause_on_disconnect:
                        self.channel.pause()

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self.ssm.idle_seconds:
            self._timers.append(loop.call_later(self.ssm.idle_seconds, self._check_idle))
        if self.ssm.max_session_seconds:
            text = "Session terminated: the maximum session duration was reached."
            self._timers.append(loop.call_later(self.ssm.max_session_seconds, self.end_soon, text))
        if self.ssm.start_publication:
            await self._put(service_frames.publication("start_publication"))
        if self.faults.silent:
            return
        if self.faults.refuse is not None:
            self.end_soon(self.faults.refuse)
            return
        if self.faults.start_delay:
            await asyncio.sleep(self.faults.start_delay)
        await self._react(self.channel.begin(time.time()))
        await self._flush()

    async def _from_client(self, frame: bytes) -> None:
        self._last_traffic = time.monotonic()
        if self.faults.silent:
            return
        for passed in self.link.to_agent(frame).frames:
            await self._react(self.channel.receive(passed, time.time()))
        await self._flush()
        self._changed.set()

    async def _react(self, events: list[AgentEvent]) -> None:
        for event in events:
            match event:
                case Ready():
                    self._work = asyncio.create_task(self._run())
                case HandshakeFailed(text):
                    self.end_soon(f"{ERROR_PREFIX}{text}")
                case Input(data):
                    self.commands.keys.put_nowait(data)
                case Resize(cols, rows):
                    self.commands.resize(cols, rows)
                case TerminateRequested():
                    self.end_soon("")

    # --- the agent's side -------------------------------------------------------------------

    async def send(self, payload_type: int, data: bytes) -> None:
        """Send one stream message of the agent."""
        self.channel.send(payload_type, data, time.time())
        self.bytes_sent += len(data)
        await self._pause_if_due()
        await self._flush()

    async def resumed(self) -> None:
        """Wait while the channel is paused."""
        while not self.channel.active:
            await self._wait_for_change()

    async def open_sessions_reach(self, count: int) -> None:
        """Wait until so many sessions are open at once."""
        await self._hub.open_sessions_reach(count)

    def terminal_is_ready(self) -> None:
        self.channel.terminal_ready = True

    async def _pause_if_due(self) -> None:
        limit = self.faults.pause_after_bytes
        if limit is None or self._paused_once or self.bytes_sent < limit:
            return
        self._paused_once = True
        await self._flush()
        self.channel.pause()
        if self.faults.hang_after_pause:
            await asyncio.Event().wait()
        if self.faults.resume_after is not None:
            loop = asyncio.get_running_loop()
            self._timers.append(loop.call_later(self.faults.resume_after, self._resume))

    def _resume(self) -> None:
        self.channel.resume()
        self._changed.set()
        self._schedule_tick()

    async def _run(self) -> None:
        """The agent's work and the agent's end: drain, Terminating, drain, gone."""
        started = True
        settings = self.node.settings
        try:
            if settings.answer is not None:
                await work.answer(self, settings.answer)
            elif self.document.terminal:
                started = await work.run_terminal(self, self.command)
            elif not self.command:
                kind = self.document.session_type
                text = f"Commands cannot be empty for session type {kind}"
                self.end_soon(f"{ERROR_PREFIX}{text}")
                return
            elif self.separate:
                started = await work.run_separate(self, self.command)
            else:
                started = await work.run_spooled(self, self.command)
        except Exception as error:
            self._hub.mistake(f"session {self.session_id}: {error!r}")
            self.end_soon(f"{ERROR_PREFIX}{error}")
            return
        await self._drained()
        if started:
            self.agent_states.append("Terminating")
            self._set_status("Terminating")
            await self._drained()
        self.end_soon("")

    async def _drained(self) -> None:
        """Wait at most 2 s for acknowledgements."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                while self.channel.unacknowledged:
                    await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # --- frames -----------------------------------------------------------------------------

    async def _flush(self) -> None:
        async with self._sending:
            for frame in self.channel.take_frames():
                await self._through_link(self.link.to_client(frame))
        self._schedule_tick()

    async def _through_link(self, passage: Passage) -> None:
        for frame in passage.frames:
            self._count_packet()
            await self._put(frame)
        if passage.disconnect:
            self.disconnect()

    async def _put(self, frame: bytes) -> None:
        """Write to the client; without a client the frame is lost, as in the service."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._socket.send_bytes(frame)

    def disconnect(self) -> None:
        """Cut the websocket without a close frame: the client sees 1006."""
        abort, self._socket = self._abort, None
        if abort is not None:
            abort()

    def _count_packet(self) -> None:
        """More than the service's packets per second for 2 s: pause, then the drop."""
        limit = self.ssm.max_packets_per_second
        now = self._last_traffic = time.monotonic()
        if not limit:
            return
        self._recent.append(now)
        while self._recent[0] < now - 1:
            self._recent.popleft()
        if len(self._recent) <= limit:
            self._too_fast_since = None
        elif self._too_fast_since is None:
            self._too_fast_since = now
        elif now - self._too_fast_since > TOO_FAST_SECONDS:
            self._too_fast_since = None
            self.channel.pause()
            self.disconnect()

    def _schedule_tick(self) -> None:
        waiting = self.channel.unacknowledged or self.channel.handshake_deadline is not None
        if self._ticking is None and waiting and not self.over and self._begun:
            self._ticking = asyncio.get_running_loop().call_later(RESEND_POLL, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        self._hub.spawn(self._after_tick(self.channel.tick(time.time())))

    async def _after_tick(self, events: list[AgentEvent]) -> None:
        await self._react(events)
        await self._flush()

    # --- the end ----------------------------------------------------------------------------

    def end_soon(self, text: str, *, status: str = "Terminated") -> None:
        """End the session: cancel the work, tell the client, close. Idempotent."""
        if self._end_task is None:
            self._end_task = self._hub.spawn(self._end(text, status))

    def terminate(self) -> None:
        """TerminateSession."""
        self.terminated_by_api = True
        self.end_soon("")

    async def _end(self, text: str, status: str) -> None:
        for timer in [*self._timers, *([self._ticking] if self._ticking else [])]:
            timer.cancel()
        if self._work is not None and not self._work.done():
            self._work.cancel()
            await asyncio.wait([self._work])
        self.closing_text = text
        await self._put(service_frames.channel_closed(self.session_id, text))
        self.ended = time.time()
        self._set_status(status)
        if self._socket is not None:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._socket.close()

    def _check_idle(self) -> None:
        quiet = time.monotonic() - self._last_traffic
        left = self.ssm.idle_seconds - quiet
        if left <= 0:
            self.end_soon("Session timed out due to inactivity.")
            return
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(left, self._check_idle))

    def _set_status(self, status: str) -> None:
        self.status = status
        self._hub.status_changed(self)
