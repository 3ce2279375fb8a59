"""Puts incoming stream messages back into the order of their sequence numbers."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from .messages import Message


class Arrival(enum.Enum):
    """What an incoming sequence number means; all but FULL are to be acknowledged."""

    NEXT = "next"
    EARLY = "early"
    OLD = "old"
    FULL = "full"


class Reassembly:
    """The next expected sequence number and a bounded buffer for what came too early.

    Counting goes on across reconnects. A message that finds the buffer full must not be
    acknowledged: its sender then keeps it and sends it again.
    """

    __slots__ = ("_early", "_limit", "expected")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._early: dict[int, Message] = {}
        #: The lowest sequence number that has not arrived.
        self.expected = 0

    def __len__(self) -> int:
        return len(self._early)

    @property
    def has_gap(self) -> bool:
        """Whether something arrived whose predecessors are still missing."""
        return bool(self._early)

    def accept(self, message: Message) -> Arrival:
        """File one message; `drain` then gives what is in order."""
        sequence = message.sequence_number
        if sequence < self.expected or sequence in self._early:
            return Arrival.OLD
        if sequence == self.expected:
            # The expected one never counts against the limit: taking it is what empties the
            # buffer.
            self._early[sequence] = message
            return Arrival.NEXT
        if len(self._early) >= self._limit:
            return Arrival.FULL
        self._early[sequence] = message
        return Arrival.EARLY

    def drain(self) -> Iterator[Message]:
        """Hand out the messages that are now in order."""
        while (message := self._early.pop(self.expected, None)) is not None:
            self.expected += 1
            yield message
