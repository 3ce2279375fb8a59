"""The node's side of a data channel as the tests see it: an agent model without sockets or clock.

Written from the protocol's description, not from the client: it numbers, resends only its head,
acknowledges old duplicates again, drops input before the handshake is complete, and drains for two
seconds before it leaves. The service's own ugly frames are made here too.
"""

from __future__ import annotations

import hashlib
import json
import struct
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hyperpod_eks_issue_report.ssm.messages import (
    Message,
    MessageType,
    PayloadType,
    acknowledge,
    decode,
)

EPOCH_MS = 1_700_000_000_000
RESEND_AFTER = 0.2
DRAIN = 2.0


def output_frame(
    sequence: int,
    payload: bytes,
    payload_type: int = PayloadType.OUTPUT,
    *,
    message_id: uuid.UUID | None = None,
) -> bytes:
    """One output_stream_data frame as an agent writes it."""
    return Message(
        message_type=MessageType.OUTPUT,
        sequence_number=sequence,
        flags=1 if sequence == 0 else 0,
        payload_type=payload_type,
        payload=payload,
        created_date=EPOCH_MS,
        message_id=message_id or uuid.uuid4(),
    ).encode()


def json_frame(sequence: int, payload_type: int, body: object) -> bytes:
    return output_frame(sequence, json.dumps(body).encode(), payload_type)


def handshake_request(
    sequence: int = 0,
    *,
    session_type: str = "NonInteractiveCommands",
    extra_actions: Sequence[Mapping[str, object]] = (),
) -> bytes:
    actions: list[Mapping[str, object]] = [
        {
            "ActionType": "SessionType",
            "ActionParameters": {"SessionType": session_type, "Properties": None},
        },
        *extra_actions,
    ]
    body = {"AgentVersion": "3.3.987.0", "RequestedClientActions": actions}
    return json_frame(sequence, PayloadType.HANDSHAKE_REQUEST, body)


def handshake_complete(sequence: int = 1, message: str = "") -> bytes:
    body = {"HandshakeTimeToComplete": 1234567, "CustomerMessage": message}
    return json_frame(sequence, PayloadType.HANDSHAKE_COMPLETE, body)


def ack_frame(received: bytes) -> bytes:
    """The acknowledgement of a frame of ours."""
    return acknowledge(decode(received).message, created_date=EPOCH_MS).encode()


def service_frame(message_type: str, payload: bytes, *, garbage: bool = False) -> bytes:
    """A frame of the service itself: HeaderLength 112, NUL padding, no PayloadType.

    With `garbage`, digest and length are wrong as in its publication frames.
    """
    digest = b"\x5a" * 32 if garbage else hashlib.sha256(payload).digest()
    length = struct.pack("<I", len(payload) + 1) if garbage else struct.pack(">I", len(payload))
    head = struct.pack(
        ">I32sIQqQ16s32s",
        112,
        message_type.encode().ljust(32, b"\0"),
        1,
        EPOCH_MS,
        0,
        0,
        uuid.uuid4().bytes,
        digest,
    )
    return head + length + payload


def channel_closed(output: str | None = "") -> bytes:
    body = {} if output is None else {"SessionId": "s-1", "SchemaVersion": 1, "Output": output}
    return service_frame(MessageType.CHANNEL_CLOSED, json.dumps(body).encode())


@dataclass
class _Unacked:
    sequence: int
    frame: bytes
    sent_at: float


@dataclass
class AgentPeer:
    """An agent (and the service in front of it) that runs a scripted session."""

    handshake: bool = True
    session_type: str = "NonInteractiveCommands"
    customer_message: str = ""
    early_limit: int = 100_000

    taken_input: list[tuple[int, bytes]] = field(default_factory=list)
    thrown_away: list[bytes] = field(default_factory=list)
    hellos: list[dict[str, str]] = field(default_factory=list)
    acks_seen: list[int] = field(default_factory=list)
    responses: list[dict[str, object]] = field(default_factory=list)
    ready: bool = False
    closed: bool = False
    connected: bool = True
    reader_blocked: bool = False

    _outgoing: list[bytes] = field(default_factory=list)
    _unacked: list[_Unacked] = field(default_factory=list)
    _waiting: list[tuple[int, bytes]] = field(default_factory=list)
    _early: dict[int, Message] = field(default_factory=dict)
    _next_out: int = 0
    _expected: int = 0
    _finish_by: float | None = None
    _closing_text: str = ""

    # --- what a test tells it -------------------------------------------------------------------

    def start(self, now: float) -> None:
        """The session worker is up."""
        if self.handshake:
            frame = handshake_request(0, session_type=self.session_type)
            self._send_frame(frame, now)
        else:
            self._become_ready(now)

    def emit(self, payload: bytes, now: float, payload_type: int = PayloadType.OUTPUT) -> None:
        """Output of the command; waits for the handshake."""
        if self.ready:
            self._send(payload_type, payload, now)
        else:
            self._waiting.append((payload_type, payload))

    def finish(self, now: float, closing_text: str = "") -> None:
        """The command has ended: drain, then leave."""
        self._finish_by = now + DRAIN
        self._closing_text = closing_text
        self.tick(now)

    def dropped(self) -> None:
        self.connected = False
        self._outgoing.clear()

    def reconnected(self) -> None:
        self.connected = True

    # --- frames ---------------------------------------------------------------------------------

    def take_outgoing(self) -> list[bytes]:
        frames, self._outgoing = self._outgoing, []
        return frames

    @property
    def idle(self) -> bool:
        return not self._unacked and not self._waiting and not self._early

    def receive(self, frame: str | bytes, now: float) -> None:
        if isinstance(frame, str):
            self.hellos.append(json.loads(frame))
            return
        received = decode(frame)
        message = received.message
        if not received.digest_matches:
            return
        if message.message_type == MessageType.ACKNOWLEDGE:
            self._struck_off(json.loads(message.payload)["AcknowledgedMessageSequenceNumber"])
        elif message.message_type == MessageType.INPUT:
            self._take_input(message, now)
        self.tick(now)

    def tick(self, now: float) -> None:
        """Resend the head if it is due; leave when drained or out of time."""
        if self.closed:
            return
        if self.connected and self._unacked:
            head = self._unacked[0]
            if now >= head.sent_at + RESEND_AFTER:
                head.sent_at = now
                self._outgoing.append(head.frame)
        if self._finish_by is None or self._waiting:
            return
        if not self._unacked or now >= self._finish_by:
            self.closed = True
            self._outgoing.append(
                service_frame("agent_session_state", b'{"SessionState":"Terminating"}')
            )
            self._outgoing.append(channel_closed(self._closing_text))

    def next_deadline(self) -> float | None:
        if self.closed:
            return None
        due = [entry.sent_at + RESEND_AFTER for entry in self._unacked[:1] if self.connected]
        if self._finish_by is not None:
            due.append(self._finish_by)
        return min(due, default=None)

    # --- inside ---------------------------------------------------------------------------------

    def _send(self, payload_type: int, payload: bytes, now: float) -> None:
        self._send_frame(output_frame(self._next_out, payload, payload_type), now)

    def _send_frame(self, frame: bytes, now: float) -> None:
        self._unacked.append(_Unacked(self._next_out, frame, now))
        self._next_out += 1
        if self.connected:
            self._outgoing.append(frame)

    def _struck_off(self, sequence: int) -> None:
        self.acks_seen.append(sequence)
        self._unacked = [entry for entry in self._unacked if entry.sequence != sequence]

    def _take_input(self, message: Message, now: float) -> None:
        sequence = message.sequence_number
        if sequence > self._expected and len(self._early) >= self.early_limit:
            return
        self._outgoing.append(acknowledge(message, created_date=EPOCH_MS).encode())
        if sequence < self._expected:
            return
        self._early[sequence] = message
        while (following := self._early.pop(self._expected, None)) is not None:
            self._expected += 1
            self._act_on(following, now)

    def _act_on(self, message: Message, now: float) -> None:
        if message.payload_type == PayloadType.HANDSHAKE_RESPONSE:
            if self.responses:
                self.reader_blocked = True
            self.responses.append(json.loads(message.payload))
            self._send_frame(handshake_complete(self._next_out, self.customer_message), now)
            self._become_ready(now)
        elif self.ready:
            self.taken_input.append((message.payload_type, message.payload))
        else:
            self.thrown_away.append(message.payload)

    def _become_ready(self, now: float) -> None:
        self.ready = True
        waiting, self._waiting = self._waiting, []
        for payload_type, payload in waiting:
            self._send(payload_type, payload, now)
