"""Our side's unacknowledged messages: how long to wait for each, and what to send again.

Constants and formula are those of both Go implementations (session-manager-plugin
`src/config/config.go`, `src/datachannel/streaming.go`; amazon-ssm-agent
`agent/session/datachannel/datachannel.go`). All times are in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

INITIAL_RTO = 0.2
INITIAL_RTT = 0.1
MAX_RTO = 1.0
CLOCK_GRANULARITY = 0.01
RTT_GAIN = 1 / 8
RTT_VARIATION_GAIN = 1 / 4
#: The Go senders look at their queue this often, so nothing is resent faster.
RESEND_INTERVAL = 0.1


class RoundTripTimer:
    """Estimates the retransmission time-out from acknowledgements.

    Without exponential back-off and without Karn's rule: a resent message's sample counts from
    its last copy, as both Go implementations take it.
    """

    __slots__ = ("_rtt", "_variation", "timeout")

    def __init__(self) -> None:
        self._rtt = INITIAL_RTT
        self._variation = 0.0
        #: Seconds to wait for an acknowledgement.
        self.timeout = INITIAL_RTO

    def sample(self, elapsed: float) -> None:
        """Learn from a message that was acknowledged `elapsed` seconds after its last copy."""
        self._variation += RTT_VARIATION_GAIN * (abs(self._rtt - elapsed) - self._variation)
        self._rtt += RTT_GAIN * (elapsed - self._rtt)
        margin = max(CLOCK_GRANULARITY, 4 * self._variation)
        self.timeout = min(self._rtt + margin, MAX_RTO)


class _Sent:
    """One message on its way."""

    __slots__ = ("acknowledged", "frame", "resends", "sent_at", "sequence")

    def __init__(self, sequence: int, frame: bytes, sent_at: float) -> None:
        self.sequence = sequence
        self.frame = frame
        self.sent_at = sent_at
        self.resends = 0
        self.acknowledged = False


class Outbox:
    """Messages sent but not yet acknowledged, oldest first; only the oldest is ever resent."""

    __slots__ = ("_queue", "timer")

    def __init__(self) -> None:
        self._queue: deque[_Sent] = deque()
        self.timer = RoundTripTimer()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def head_resends(self) -> int:
        """How often the oldest message has been sent again."""
        return self._queue[0].resends if self._queue else 0

    def add(self, sequence: int, frame: bytes, now: float) -> None:
        """Remember a frame that is written now, until its acknowledgement comes."""
        self._queue.append(_Sent(sequence, frame, now))

    def acknowledge(self, sequence: int, now: float) -> bool:
        """Strike off an acknowledged message; False if it is not (or no longer) waiting.

        Acknowledgements are per message, not cumulative; sequence numbers in the queue follow
        one another, so that the place of one is found without a search.
        """
        queue = self._queue
        if not queue:
            return False
        index = sequence - queue[0].sequence
        if not 0 <= index < len(queue) or queue[index].acknowledged:
            return False
        entry = queue[index]
        entry.acknowledged = True
        self.timer.sample(now - entry.sent_at)
        while queue and queue[0].acknowledged:
            queue.popleft()
        return True

    def next_resend(self) -> float | None:
        """When the oldest message is due again; None with nothing waiting."""
        if not self._queue:
            return None
        return self._queue[0].sent_at + max(self.timer.timeout, RESEND_INTERVAL)

    def resend_head(self, now: float) -> bytes:
        """The oldest message's frame, unchanged, counted as sent again now."""
        head = self._queue[0]
        head.resends += 1
        head.sent_at = now
        return head.frame

    def resend_all(self, now: float) -> Iterator[bytes]:
        """Every waiting frame in order, for a fresh connection; not counted as resends."""
        for entry in self._queue:
            if not entry.acknowledged:
                entry.sent_at = now
                yield entry.frame
