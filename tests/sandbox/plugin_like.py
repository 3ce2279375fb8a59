"""A client that behaves as the stock session-manager-plugin does, quirks included.

Written from aws/session-manager-plugin `src/datachannel/streaming.go`: old duplicates are dropped
without an acknowledgement, a payload of one newline becomes a carriage return, flags are 0, the
head of the queue is resent every 100 ms once its time-out has passed, the terminal's size is sent
when it changes. It knows nothing of the package's own client.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection, connect

from hyperpod_eks_issue_report.ssm import messages
from hyperpod_eks_issue_report.ssm.messages import Message, MessageType, PayloadType

CLIENT_VERSION = "1.2.764.0"
_HANDSHAKE = (PayloadType.HANDSHAKE_REQUEST, PayloadType.HANDSHAKE_COMPLETE)


@dataclass
class PluginLike:
    """One session of the plugin; `handle` decides about payloads as a test wants."""

    started: dict[str, Any]
    ssl: Any = None
    answer_handshake: bool = True
    acknowledge: Callable[[Message], bool] = lambda _message: True
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    exit_code: int | None = None
    session_type: str | None = None
    closed: messages.ChannelClosed | None = None
    closed_header_length: int = 0
    order: list[int] = field(default_factory=list)
    frames: list[messages.ReceivedMessage] = field(default_factory=list)
    malformed: int = 0
    dropped_duplicates: int = 0

    def __post_init__(self) -> None:
        self._client_id = str(uuid.uuid4())
        self._expected = 0
        self._sequence = 0
        self._buffer: dict[int, Message] = {}
        self._unacked: dict[int, tuple[bytes, float]] = {}
        self._ready = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._resender: asyncio.Task[None] | None = None
        self._arrived = asyncio.Condition()

    # --- connection -------------------------------------------------------------------------

    async def open(self, token: str | None = None) -> None:
        """Dial and send the opening text frame."""
        options = {"ssl": self.ssl} if self.ssl is not None else {}
        self._socket = await connect(self.started["StreamUrl"], compression=None, **options)
        opening = messages.OpenDataChannelInput(
            MessageSchemaVersion="1.0",
            RequestId=str(uuid.uuid4()),
            TokenValue=token or self.started["TokenValue"],
            ClientId=self._client_id,
            ClientVersion=CLIENT_VERSION,
        )
        await self._socket.send(msgspec.json.encode(opening).decode(), text=True)
        await self._socket.ping(b"keepalive")
        if self._resender is None:
            self._resender = asyncio.create_task(self._resend())

    async def run(self) -> None:
        """Read until channel_closed or the end of the connection."""
        assert self._socket is not None
        with contextlib.suppress(websockets.ConnectionClosed):
            async for frame in self._socket:
                if isinstance(frame, bytes):
                    await self._received(frame)
                if self.closed is not None:
                    break
        async with self._arrived:
            self._arrived.notify_all()

    async def finish(self) -> None:
        """Stop resending and close."""
        if self._resender is not None:
            self._resender.cancel()
        if self._socket is not None:
            await self._socket.close()

    async def until(self, condition: Callable[[PluginLike], bool]) -> None:
        """Wait until what has arrived satisfies the condition."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: condition(self) or self.closed is not None)

    # --- sending ----------------------------------------------------------------------------

    async def type(self, text: bytes) -> None:
        """Keyboard input."""
        await self._ready.wait()
        await self.send(PayloadType.OUTPUT, text)

    async def size(self, cols: int, rows: int) -> None:
        """The terminal's size."""
        await self._ready.wait()
        await self.send(PayloadType.SIZE, msgspec.json.encode({"cols": cols, "rows": rows}))

    async def send(self, kind: PayloadType, payload: bytes) -> None:
        """One stream message: flags 0, and the newline quirk."""
        if payload == b"\n":
            payload = b"\r"
        message = Message(
            MessageType.INPUT, self._sequence, 0, kind, payload, int(time.time() * 1000)
        )
        frame = message.encode()
        self._unacked[self._sequence] = (frame, time.monotonic())
        self._sequence += 1
        await self._put(frame)

    async def _put(self, frame: bytes) -> None:
        assert self._socket is not None
        with contextlib.suppress(websockets.ConnectionClosed):
            await self._socket.send(frame)

    async def _resend(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self._unacked:
                sequence, (frame, sent) = next(iter(self._unacked.items()))
                if time.monotonic() - sent > 0.2:
                    self._unacked[sequence] = (frame, sent)
                    await self._put(frame)

    # --- receiving --------------------------------------------------------------------------

    async def _received(self, frame: bytes) -> None:
        try:
            received = messages.decode(frame)
        except messages.MalformedMessageError:
            self.malformed += 1
            return
        self.frames.append(received)
        message = received.message
        match message.message_type:
            case MessageType.ACKNOWLEDGE:
                body = msgspec.json.decode(message.payload, type=messages.Acknowledgement)
                self._unacked.pop(body.AcknowledgedMessageSequenceNumber, None)
            case MessageType.OUTPUT if received.digest_matches:
                await self._stream(message)
            case MessageType.CHANNEL_CLOSED:
                self.closed = msgspec.json.decode(message.payload, type=messages.ChannelClosed)
                self.closed_header_length = received.header_length
        async with self._arrived:
            self._arrived.notify_all()

    async def _stream(self, message: Message) -> None:
        if message.sequence_number < self._expected:
            self.dropped_duplicates += 1
            return
        if not self.acknowledge(message):
            return
        if message.sequence_number > self._expected:
            await self._ack(message)
            self._buffer[message.sequence_number] = message
            return
        await self._ack(message)
        await self._handle(message)
        self._expected += 1
        while (held := self._buffer.pop(self._expected, None)) is not None:
            await self._handle(held)
            self._expected += 1

    async def _ack(self, message: Message) -> None:
        reply = messages.acknowledge(message, created_date=int(time.time() * 1000))
        await self._put(reply.encode())

    async def _handle(self, message: Message) -> None:
        self.order.append(message.sequence_number)
        match message.payload_type:
            case PayloadType.HANDSHAKE_REQUEST:
                await self._handshake(message.payload)
            case PayloadType.HANDSHAKE_COMPLETE:
                self._ready.set()
            case PayloadType.OUTPUT:
                if self.session_type is None:
                    self.session_type = "Standard_Stream"
                self._ready.set()
                self.stdout += message.payload
            case PayloadType.STDERR:
                self.stderr += message.payload
            case PayloadType.EXIT_CODE:
                self.exit_code = int(message.payload.decode().removeprefix("EXIT_CODE: "))

    async def _handshake(self, payload: bytes) -> None:
        request = msgspec.json.decode(payload, type=messages.HandshakeRequest)
        processed = []
        for action in request.RequestedClientActions:
            if action.ActionType == "SessionType":
                assert isinstance(action.ActionParameters, dict)
                self.session_type = action.ActionParameters["SessionType"]
                processed.append(messages.ProcessedClientAction("SessionType", 1))
            else:
                processed.append(
                    messages.ProcessedClientAction(action.ActionType, 2, None, "no KMS here")
                )
        if self.answer_handshake:
            answer = messages.HandshakeResponse(CLIENT_VERSION, processed)
            await self.send(PayloadType.HANDSHAKE_RESPONSE, msgspec.json.encode(answer))


async def run_command(started: dict[str, Any], **options: Any) -> PluginLike:
    """A whole session that only listens."""
    client = PluginLike(started, **options)
    await client.open()
    try:
        await client.run()
    finally:
        await client.finish()
    return client
