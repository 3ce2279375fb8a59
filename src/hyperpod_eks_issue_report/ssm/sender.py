"""Our direction of a channel: numbering, holding back and resending what we say.

Frames to write are collected in `frames`; nothing is ever thrown away to make room.
"""

from __future__ import annotations

from collections import deque

from hyperpod_eks_issue_report.errors import DeliveryError

from .bounds import Limits
from .messages import Flags, Message, MessageType, PayloadType, acknowledge
from .retransmission import Outbox


class Sender:
    """The sending half of a `DataChannel`.

    Args:
        epoch_offset: seconds to add to the monotonic time to get the time since the epoch.
        limits: bounds of the buffer and of attempts.
    """

    __slots__ = (
        "_epoch_offset",
        "_held",
        "_limits",
        "_next_sequence",
        "_open",
        "_outbox",
        "connected",
        "frames",
    )

    def __init__(self, epoch_offset: float, limits: Limits) -> None:
        #: Frames to write now, in this order.
        self.frames: list[str | bytes] = []
        #: Whether there is a websocket to write them on.
        self.connected = False
        self._epoch_offset = epoch_offset
        self._limits = limits
        self._next_sequence = 0
        self._open = False
        self._held: deque[tuple[PayloadType, bytes]] = deque()
        self._outbox = Outbox()

    @property
    def unacknowledged(self) -> int:
        """Messages that are held back or wait for their acknowledgement."""
        return len(self._outbox) + len(self._held)

    def acknowledge(self, received: Message, now: float) -> None:
        """Acknowledge a message of the agent; this is neither numbered nor sent again."""
        frame = acknowledge(received, created_date=self._epoch_ms(now)).encode()
        self.frames.append(frame)

    def introduce(self, hello: str, now: float) -> None:
        """A connection is open: `hello` first, then what was not acknowledged, in order."""
        self.connected = True
        self.frames = [hello, *self._outbox.resend_all(now)]

    def disconnect(self) -> None:
        """The connection is gone, and with it what was about to be written."""
        self.connected = False
        self.frames.clear()

    def offer(self, payload_type: PayloadType, payload: bytes, now: float) -> bool:
        """Send input, or hold it until `open`; False when the buffer is full."""
        if self.unacknowledged >= self._limits.outgoing:
            return False
        if self._open:
            self.send(payload_type, payload, now)
        else:
            self._held.append((payload_type, payload))
        return True

    def open(self, now: float) -> None:
        """The agent takes input from now on: send what was held."""
        self._open = True
        while self._held:
            payload_type, payload = self._held.popleft()
            self.send(payload_type, payload, now)

    def send(self, payload_type: PayloadType, payload: bytes, now: float) -> None:
        """Number a message and send it at once; without a connection it goes out with the next."""
        message = Message(
            message_type=MessageType.INPUT,
            sequence_number=self._next_sequence,
            flags=Flags.NONE,
            payload_type=payload_type,
            payload=payload,
            created_date=self._epoch_ms(now),
        )
        frame = message.encode()
        self._outbox.add(self._next_sequence, frame, now)
        self._next_sequence += 1
        if self.connected:
            self.frames.append(frame)

    def acknowledged(self, sequence: int, now: float) -> bool:
        """Strike a message off; False for late copies and numbers that were never sent."""
        return self._outbox.acknowledge(sequence, now)

    def next_resend(self) -> float | None:
        """When the oldest message is to be sent again, in monotonic seconds."""
        return self._outbox.next_resend() if self.connected else None

    def resend(self, now: float) -> bool:
        """Send the oldest message again if it is due.

        Raises:
            DeliveryError: it has been sent too often.
        """
        due = self.next_resend()
        if due is None or now < due:
            return False
        if self._outbox.head_resends >= self._limits.resends:
            raise DeliveryError(
                f"The node did not acknowledge a message after {self._limits.resends} attempts; "
                "the session cannot go on."
            )
        self.frames.append(self._outbox.resend_head(now))
        return True

    def _epoch_ms(self, now: float) -> int:
        """The wall-clock time of `now` in milliseconds; never 0, which would be invalid."""
        return max(1, int((now + self._epoch_offset) * 1000))
