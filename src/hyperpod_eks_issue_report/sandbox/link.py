"""Faults on the way between agent and client: frames in, frames out. No I/O.

To add a fault: a field in `scenario.Link`, one branch here, one test in tests/sandbox/test_link.py.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hyperpod_eks_issue_report.ssm.messages import MessageType, decode

from .scenario import Link

#: A frame of an unknown type, a truncated one: clients must ignore both.
_STRAY_BYTES = b"\x00\x00\x00\x74mgs_telemetry"


@dataclass(frozen=True, slots=True)
class Passage:
    """What comes out for one frame; `disconnect` cuts the socket behind the frames."""

    frames: tuple[bytes, ...] = ()
    disconnect: bool = False


@dataclass(slots=True)
class FaultyLink:
    """Applies `settings`, which may be exchanged while it is in use.

    Every count starts at 1 and covers the whole session, over reconnects.
    """

    settings: Link
    _random: random.Random = field(default_factory=random.Random)
    _down: int = 0
    _acks: int = 0
    _inputs: int = 0
    _held: bytes | None = None

    def __post_init__(self) -> None:
        self._random.seed(self.settings.seed)

    def to_client(self, frame: bytes) -> Passage:
        """One frame of the agent."""
        settings = self.settings
        self._down += 1
        number = self._down
        disconnect = number in settings.disconnect_nth
        if self._happens(settings.drop, settings.drop_nth, number):
            return Passage(disconnect=disconnect)
        if self._happens(settings.corrupt, settings.corrupt_nth, number):
            frame = frame[:-1] + bytes([frame[-1] ^ 0xFF])
        if self._held is None and self._happens(settings.reorder, settings.reorder_nth, number):
            self._held = frame
            return Passage(disconnect=disconnect)
        frames = [frame]
        if self._happens(settings.duplicate, settings.duplicate_nth, number):
            frames.append(frame)
        if self._held is not None:
            frames.append(self._held)
            self._held = None
        if settings.stray_frames and number == 1:
            frames.insert(0, _STRAY_BYTES)
        return Passage(tuple(frames), disconnect)

    def to_agent(self, frame: bytes) -> Passage:
        """One frame of the client."""
        settings = self.settings
        if not (settings.lose_ack or settings.lose_ack_nth or settings.drop_input
                or settings.drop_input_nth):  # fmt: skip
            return Passage((frame,))
        try:
            is_ack = decode(frame).message.message_type == MessageType.ACKNOWLEDGE
        except ValueError:
            return Passage((frame,))
        if is_ack:
            self._acks += 1
            lost = self._happens(settings.lose_ack, settings.lose_ack_nth, self._acks)
        else:
            self._inputs += 1
            lost = self._happens(settings.drop_input, settings.drop_input_nth, self._inputs)
        return Passage(() if lost else (frame,))

    def _happens(self, probability: float, numbers: tuple[int, ...], number: int) -> bool:
        return number in numbers or (probability > 0 and self._random.random() < probability)
