"""The client's end of one Session Manager data channel, as a state machine.

`DataChannel` opens no socket, runs no task and reads no clock. It is given frames and the time in
monotonic seconds; it gives back frames to write (`take_outgoing`), what happened (`take_events`)
and when it wants to be woken (`next_deadline`, then `tick`). Rules: session-manager-plugin
`src/datachannel/streaming.go` and amazon-ssm-agent `agent/session/datachannel/datachannel.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import uuid4

import msgspec

from hyperpod_eks_issue_report.errors import DeliveryError, HandshakeError, SessionError

from . import payloads
from .bounds import DEFAULT_LIMITS, Counters, Limits
from .events import ChannelEvent, Closed, ExitCode, Failed, HandshakeDone, Output, Stream
from .handshake import CLIENT_VERSION, answer, encryption_required
from .messages import (
    CHUNK_SIZE,
    MalformedMessageError,
    Message,
    MessageType,
    OpenDataChannelInput,
    PayloadType,
    decode,
)
from .reassembly import Arrival, Reassembly
from .sender import Sender
from .states import TRANSITIONS, State, Trigger

_PUBLICATIONS: Final = (MessageType.START_PUBLICATION, MessageType.PAUSE_PUBLICATION)
_DATA: Final = (PayloadType.OUTPUT, PayloadType.STDERR, PayloadType.EXIT_CODE)


class DataChannel:
    """One session's channel, over as many connections as it takes.

    Args:
        client_id: UUID text that stays the same across reconnects.
        epoch_offset: seconds to add to the monotonic time to get the time since the epoch.
        limits: bounds of buffers and attempts.
    """

    __slots__ = (
        "_agent_version",
        "_client_id",
        "_events",
        "_reassembly",
        "_sender",
        "counters",
        "state",
    )

    def __init__(
        self, *, client_id: str, epoch_offset: float, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.state = State.WAITING
        self.counters = Counters()
        self._client_id = client_id
        self._agent_version = ""
        self._sender = Sender(epoch_offset, limits)
        self._reassembly = Reassembly(limits.early)
        self._events: list[ChannelEvent] = []

    # --- what the shell asks --------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether the channel is closed or failed: nothing is read or sent any more."""
        return self.state is State.CLOSED or self.state is State.FAILED

    @property
    def delivered(self) -> int:
        """Stream messages received without a gap, duplicates not counted."""
        return self._reassembly.expected

    @property
    def early(self) -> int:
        """Messages that wait for a missing one."""
        return len(self._reassembly)

    @property
    def unacknowledged(self) -> int:
        """Our messages that are held back or wait for their acknowledgement."""
        return self._sender.unacknowledged

    def take_outgoing(self) -> list[str | bytes]:
        """Frames to write now, in this order: str as TEXT, bytes as BINARY."""
        frames, self._sender.frames = self._sender.frames, []
        return frames

    def take_events(self) -> list[ChannelEvent]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def next_deadline(self) -> float | None:
        """When `tick` has something to do, in monotonic seconds; None while there is nothing."""
        return None if self.finished else self._sender.next_resend()

    # --- what the shell tells -------------------------------------------------------------------

    def connected(self, token: str, now: float) -> None:
        """A websocket is open, the first or a later one: introduce ourselves on it.

        Sequence numbers go on; what was not acknowledged goes out again, in order.
        """
        if not self.finished:
            request_id = str(uuid4())
            hello = OpenDataChannelInput("1.0", request_id, token, self._client_id, CLIENT_VERSION)
            self._sender.introduce(msgspec.json.encode(hello).decode(), now)

    def disconnected(self) -> None:
        """The websocket is gone; what was about to be written on it is lost."""
        self._sender.disconnect()

    def tick(self, now: float) -> None:
        """Send the oldest unacknowledged message again if its time has come."""
        if self.finished:
            return
        try:
            if self._sender.resend(now):
                self.counters.resends += 1
        except DeliveryError as error:
            self._fail(error)

    def send_input(self, data: bytes, now: float) -> int:
        """Send keyboard input, in messages of at most 1 KiB.

        Input is held until the agent takes it: before HandshakeComplete an agent acknowledges
        input and throws it away.

        Returns:
            How many bytes were taken. Less than `len(data)` means that the buffer is full: offer
            the rest again after the next acknowledgement.

        Raises:
            RuntimeError: the channel is finished.
        """
        taken = 0
        while taken < len(data):
            chunk = data[taken : taken + CHUNK_SIZE]
            if not self._offer(PayloadType.OUTPUT, chunk, now):
                break
            taken += len(chunk)
        return taken

    def send_size(self, columns: int, rows: int, now: float) -> bool:
        """Send the terminal's size in characters; False when the buffer is full.

        Raises:
            RuntimeError: the channel is finished.
        """
        return self._offer(PayloadType.SIZE, b'{"cols":%d,"rows":%d}' % (columns, rows), now)

    def receive(self, frame: str | bytes, now: float) -> None:
        """Take one frame; what does not belong to the protocol is counted and ignored."""
        if self.finished:
            return
        self.counters.frames += 1
        if isinstance(frame, str):
            self.counters.text_frames += 1
            return
        try:
            received = decode(frame)
        except MalformedMessageError:
            self.counters.malformed += 1
            return
        message = received.message
        kind = message.message_type
        if kind in _PUBLICATIONS:
            # Meant for the agent's side; the service fills length and digest with garbage.
            self.counters.publications += 1
        elif not received.digest_matches:
            self.counters.corrupt += 1
        elif not kind or not message.created_date or message.sequence_number < 0:
            self.counters.malformed += 1
        elif kind == MessageType.OUTPUT:
            self._receive_stream(message, now)
        elif kind == MessageType.ACKNOWLEDGE:
            self._receive_acknowledgement(message, now)
        elif kind == MessageType.CHANNEL_CLOSED:
            self._receive_close(message)
        else:
            self.counters.unknown_types += 1

    # --- by message type ------------------------------------------------------------------------

    def _receive_stream(self, message: Message, now: float) -> None:
        arrival = self._reassembly.accept(message)
        if arrival is Arrival.FULL:
            self.counters.refused += 1
            return
        # Old ones are acknowledged again, unlike in the plugin: the agent may have missed an
        # acknowledgement that was faster than its own bookkeeping, and would resend for ever.
        self._sender.acknowledge(message, now)
        if arrival is Arrival.OLD:
            self.counters.duplicates += 1
        elif arrival is Arrival.EARLY:
            self.counters.early += 1
        else:
            for ordered in self._reassembly.drain():
                self._deliver(ordered, now)
                if self.finished:
                    return

    def _receive_acknowledgement(self, message: Message, now: float) -> None:
        sequence = payloads.acknowledged_sequence(message.payload)
        if sequence is None:
            self.counters.malformed += 1
        else:
            # A late copy of an acknowledgement finds nothing to strike off; that is no error.
            self._sender.acknowledged(sequence, now)

    def _receive_close(self, message: Message) -> None:
        self._move(Trigger.CLOSE)
        self._sender.frames.clear()
        text = payloads.closing_text(message.payload)
        self._events.append(Closed(text, complete=not self._reassembly.has_gap))

    # --- by payload type, in sequence -----------------------------------------------------------

    def _deliver(self, message: Message, now: float) -> None:
        handler = _HANDLERS.get(message.payload_type)
        if handler is None or not message.payload:
            self.counters.ignored_payloads += 1
            return
        # Data before any handshake means that this session has none.
        if self.state is State.WAITING and message.payload_type in _DATA:
            self._move(Trigger.DATA)
            self._sender.open(now)
        handler(self, message.payload, now)

    def _deliver_stdout(self, payload: bytes, _now: float) -> None:
        self._events.append(Output(Stream.STDOUT, payload))

    def _deliver_stderr(self, payload: bytes, _now: float) -> None:
        self._events.append(Output(Stream.STDERR, payload))

    def _deliver_exit_code(self, payload: bytes, _now: float) -> None:
        code = payloads.exit_code(payload)
        if code is None:
            self.counters.ignored_payloads += 1
        else:
            self._events.append(ExitCode(code))

    def _answer_handshake(self, payload: bytes, now: float) -> None:
        if not self._move(Trigger.REQUEST):
            self.counters.ignored_payloads += 1
            return
        try:
            reply = answer(payload)
        except HandshakeError as error:
            self._fail(error)
            return
        self._agent_version = reply.agent_version
        self._sender.send(PayloadType.HANDSHAKE_RESPONSE, reply.payload, now)
        if reply.encryption_required:
            self._fail(encryption_required())

    def _complete_handshake(self, payload: bytes, now: float) -> None:
        if not self._move(Trigger.COMPLETE):
            self.counters.ignored_payloads += 1
            return
        message = payloads.customer_message(payload)
        self._events.append(HandshakeDone(self._agent_version, message))
        self._sender.open(now)

    # --- state ----------------------------------------------------------------------------------

    def _offer(self, payload_type: PayloadType, payload: bytes, now: float) -> bool:
        if self.finished:
            raise RuntimeError("input cannot be sent on a finished channel")
        return self._sender.offer(payload_type, payload, now)

    def _move(self, trigger: Trigger) -> bool:
        following = TRANSITIONS.get((self.state, trigger))
        if following is None:
            return False
        self.state = following
        return True

    def _fail(self, error: SessionError) -> None:
        if self._move(Trigger.FAILURE):
            self._events.append(Failed(error))


_HANDLERS: Final[dict[int, Callable[[DataChannel, bytes, float], None]]] = {
    PayloadType.OUTPUT: DataChannel._deliver_stdout,
    PayloadType.STDERR: DataChannel._deliver_stderr,
    PayloadType.EXIT_CODE: DataChannel._deliver_exit_code,
    PayloadType.HANDSHAKE_REQUEST: DataChannel._answer_handshake,
    PayloadType.HANDSHAKE_COMPLETE: DataChannel._complete_handshake,
}
