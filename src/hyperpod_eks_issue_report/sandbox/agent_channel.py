"""The agent's end of a data channel as a state machine: no socket, no clock, no asyncio.

Written from aws/amazon-ssm-agent `agent/session/datachannel/datachannel.go`: what is acknowledged
and what is not, the resending of the queue's head only, pause semantics and the handshake. It
shares nothing but the byte codec with the client of this package.

The caller passes the time in (seconds since the epoch) and takes frames out of `take_frames`.
"""

from __future__ import annotations

import base64
import os
import struct
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from hyperpod_eks_issue_report.ssm import messages
from hyperpod_eks_issue_report.ssm.messages import Message, MessageType, PayloadType

AGENT_VERSION = "3.3.3050.0"
#: How often the head of the queue is looked at, and the bounds of its resending.
RESEND_POLL = 0.1
INITIAL_RTO = 0.2
MAX_RTO = 1.0
HANDSHAKE_TIMEOUT = 15.0
BUFFER_LIMIT = 100_000
HANDSHAKE_TIMEOUT_TEXT = (
    "Handshake timed out. Please ensure that you have the latest version of the session manager "
    "plugin."
)


@dataclass(frozen=True, slots=True)
class Ready:
    """The client may be served: the handshake is complete, or there is none."""


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """The agent gives up; `text` reaches the user through channel_closed."""

    text: str


@dataclass(frozen=True, slots=True)
class Input:
    """Keyboard bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """A new terminal size."""

    cols: int
    rows: int


@dataclass(frozen=True, slots=True)
class TerminateRequested:
    """The client sent channel_closed or the terminate flag."""


AgentEvent: TypeAlias = Ready | HandshakeFailed | Input | Resize | TerminateRequested


@dataclass(slots=True)
class _Outgoing:
    frame: bytes
    last_sent: float


class AgentChannel:
    """One session's data channel, agent side.

    `active` is the agent's IsActive(): it is False between pause_publication and the next
    input, acknowledgement or start_publication, and readers of live pipes quit on it.
    """

    def __init__(
        self, *, session_type: str, handshake: bool, kms_key: str | None = None,
        accepts_size: bool = False, ignore_early_acks: bool = False,
    ) -> None:  # fmt: skip
        self.active = True
        self.accepts_size = accepts_size
        self.terminal_ready = False
        self.resent = 0
        self.client_version = ""
        self._session_type = session_type
        self._handshake = handshake or kms_key is not None
        self._kms_key = kms_key
        self._ignore_early_acks = ignore_early_acks
        self._next_sequence = 0
        self._expected = 0
        self._unacked: dict[int, _Outgoing] = {}
        self._early_acked: set[int] = set()
        self._incoming: dict[int, Message] = {}
        self._frames: list[bytes] = []
        self._began = 0.0
        self._complete = False
        self._answered = False
        self._blocked = False
        self._rtt, self._rtt_variation, self._rto = 0.1, 0.0, INITIAL_RTO

    # --- what the shell does ----------------------------------------------------------------

    def begin(self, now: float) -> list[AgentEvent]:
        """The session starts: request the handshake, or be ready at once."""
        self._began = now
        if not self._handshake:
            self._complete = True
            return [Ready()]
        actions = [
            messages.RequestedClientAction(
                "SessionType", {"SessionType": self._session_type, "Properties": None}
            )
        ]
        if self._kms_key is not None:
            challenge = base64.b64encode(os.urandom(16)).decode()
            parameters = {"KMSKeyId": self._kms_key, "Challenge": challenge}
            actions.append(messages.RequestedClientAction("KMSEncryption", parameters))
        request = messages.HandshakeRequest(AGENT_VERSION, actions)
        self.send(PayloadType.HANDSHAKE_REQUEST, msgspec.json.encode(request), now)
        return []

    @property
    def handshake_deadline(self) -> float | None:
        """When `tick` will give the handshake up; None when that is no longer a question."""
        return None if self._answered or self._complete else self._began + HANDSHAKE_TIMEOUT

    def send(self, payload_type: int, payload: bytes, now: float) -> None:
        """Queue one stream message; nothing is sent for an empty payload (putBytes refuses)."""
        if not payload:
            return
        sequence = self._next_sequence
        self._next_sequence += 1
        frame = Message(
            message_type=MessageType.OUTPUT,
            sequence_number=sequence,
            flags=1 if sequence == 0 else 0,
            payload_type=payload_type,
            payload=payload,
            created_date=int(now * 1000),
        ).encode()
        if self.active:
            self._frames.append(frame)
        # A full buffer still sends, but does not store (datachannel.go:592-599).
        if len(self._unacked) < BUFFER_LIMIT:
            self._unacked[sequence] = _Outgoing(frame, now if self.active else 0.0)

    def tick(self, now: float) -> list[AgentEvent]:
        """Every 100 ms: resend the head of the queue, only the head, once its RTO is over."""
        deadline = self.handshake_deadline
        if deadline is not None and now >= deadline:
            self._answered = True
            return [HandshakeFailed(HANDSHAKE_TIMEOUT_TEXT)]
        if self.active and self._unacked:
            head = next(iter(self._unacked.values()))
            if now - head.last_sent > self._rto:
                head.last_sent = now
                self._frames.append(head.frame)
                self.resent += 1
        return []

    def pause(self) -> None:
        """pause_publication: no first sends and no resends from here on."""
        self.active = False

    def resume(self) -> None:
        """start_publication."""
        self.active = True

    def take_frames(self) -> list[bytes]:
        """The frames to put on the wire, in order; they are handed out once."""
        frames, self._frames = self._frames, []
        return frames

    @property
    def unacknowledged(self) -> int:
        return len(self._unacked)

    @property
    def has_gap(self) -> bool:
        """Whether messages wait for an earlier one of the client."""
        return bool(self._incoming)

    # --- what arrives -----------------------------------------------------------------------

    def receive(self, frame: bytes, now: float) -> list[AgentEvent]:
        """Take one binary frame. The agent does not check digests (agentmessage.go:262-273)."""
        try:
            message = messages.decode(frame).message
        except messages.MalformedMessageError:
            return []
        match message.message_type:
            case MessageType.ACKNOWLEDGE:
                self.active = True
                self._acknowledged(message, now)
            case MessageType.INPUT:
                self.active = True
                return [] if self._blocked else self._stream(message, now)
            case MessageType.START_PUBLICATION:
                self.active = True
            case MessageType.PAUSE_PUBLICATION:
                self.active = False
            case MessageType.CHANNEL_CLOSED:
                return [TerminateRequested()]
        return []

    def _acknowledged(self, message: Message, now: float) -> None:
        try:
            body = msgspec.json.decode(message.payload, type=messages.Acknowledgement)
        except msgspec.DecodeError:
            return
        sequence = body.AcknowledgedMessageSequenceNumber
        early = self._ignore_early_acks and sequence % 16 == 0
        if early and sequence not in self._early_acked:
            # The agent stores a message after writing it: an ack in between finds nothing.
            self._early_acked.add(sequence)
            return
        outgoing = self._unacked.pop(sequence, None)
        if outgoing is not None and outgoing.last_sent:
            self._measured(now - outgoing.last_sent)

    def _measured(self, sample: float) -> None:
        """Jacobson's estimator with gains 1/4 and 1/8 and a granularity of 10 ms."""
        self._rtt_variation = 0.75 * self._rtt_variation + 0.25 * abs(self._rtt - sample)
        self._rtt = 0.875 * self._rtt + 0.125 * sample
        self._rto = min(MAX_RTO, self._rtt + max(0.01, 4 * self._rtt_variation))

    def _stream(self, message: Message, now: float) -> list[AgentEvent]:
        sequence = message.sequence_number
        if sequence < self._expected:
            self._acknowledge(message, now)
            return []
        if sequence > self._expected:
            if len(self._incoming) < BUFFER_LIMIT:
                self._acknowledge(message, now)
                self._incoming[sequence] = message
            return []
        if not self._ready_for(message):
            return []  # no ack: the client has to send it again
        events = self._process(message, now)
        self._acknowledge(message, now)
        self._expected += 1
        while (held := self._incoming.pop(self._expected, None)) is not None:
            events += self._process(held, now)
            self._expected += 1
        return events

    def _ready_for(self, message: Message) -> bool:
        waiting = self.accepts_size and not self.terminal_ready
        return not (message.payload_type == PayloadType.SIZE and self._complete and waiting)

    def _acknowledge(self, message: Message, now: float) -> None:
        reply = messages.acknowledge(message, created_date=int(now * 1000))
        self._frames.append(reply.encode())

    def _process(self, message: Message, now: float) -> list[AgentEvent]:
        kind = message.payload_type
        if kind == PayloadType.HANDSHAKE_RESPONSE:
            return self._handshake_answer(message.payload, now)
        if not self._complete:
            return []  # acknowledged and thrown away (datachannel.go:838-843)
        if kind == PayloadType.OUTPUT:
            return [Input(message.payload)]
        if kind == PayloadType.SIZE:
            return _resize(message.payload)
        if kind == PayloadType.FLAG and message.payload == struct.pack(">I", 2):
            return [TerminateRequested()]
        return []

    def _handshake_answer(self, payload: bytes, now: float) -> list[AgentEvent]:
        if self._answered or not self._handshake:
            self._blocked = True  # the agent's reader hangs on an unbuffered channel
            return []
        self._answered = True
        try:
            answer = msgspec.json.decode(payload, type=messages.HandshakeResponse)
        except msgspec.DecodeError as error:
            return [HandshakeFailed(f"Unmarshalling HandshakeResponse failed: {error}")]
        self.client_version = answer.ClientVersion
        for action in answer.ProcessedClientActions:
            if action.ActionStatus != messages.ActionStatus.SUCCESS:
                return [
                    HandshakeFailed(
                        f"{action.ActionType} failed on client with status "
                        f"{action.ActionStatus} error: {action.Error}"
                    )
                ]
        if self._kms_key is not None:
            return [HandshakeFailed("Fetching data key failed: the sandbox has no KMS.")]
        self._complete = True
        complete = messages.HandshakeComplete(int((now - self._began) * 1e9), "")
        self.send(PayloadType.HANDSHAKE_COMPLETE, msgspec.json.encode(complete), now)
        return [Ready()]


class _Size(msgspec.Struct):
    cols: int
    rows: int


def _resize(payload: bytes) -> list[AgentEvent]:
    try:
        size = msgspec.json.decode(payload, type=_Size)
    except msgspec.DecodeError:
        return []
    return [Resize(size.cols, size.rows)]
