"""What the live view knows: counts and the few nodes at work, kept up by events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hyperpod_eks_issue_report import events


@dataclass(slots=True)
class AtWork:
    """One node at work: what it does and since when (seconds since the epoch)."""

    doing: str
    since: float


@dataclass(slots=True)
class Tally:
    """Pure: `take` an event, read the fields. Memory grows with the nodes at work only."""

    cluster: str = ""
    destination: str = ""
    nodes: int = 0
    done: int = 0
    failed: int = 0
    bytes: int = 0
    started: float = 0.0
    at_work: dict[str, AtWork] = field(default_factory=dict)
    failures: deque[events.NodeFinished] = field(default_factory=lambda: deque(maxlen=6))
    notices: deque[str] = field(default_factory=lambda: deque(maxlen=3))

    @property
    def waiting(self) -> int:
        return max(0, self.nodes - self.done - len(self.at_work))

    def estimate(self, now: float) -> float | None:
        """Seconds that are left if the nodes go on ending as fast as so far."""
        if not self.done or self.done >= self.nodes:
            return None
        return (now - self.started) / self.done * (self.nodes - self.done)

    def take(self, event: events.Event) -> None:
        match event:
            case events.RunStarted():
                self.cluster, self.destination = event.cluster, event.destination
                self.nodes, self.started = event.nodes, event.time
            case events.Notice():
                self.notices.append(event.text)
            case events.NodeStarted():
                self._doing(event.node, "waits for its session", event.time)
            case events.NodeConnected():
                self._doing(event.node, "connected", event.time)
            case events.TaskStarted():
                self._doing(event.node, event.task, event.time)
            case events.TarballReady():
                self._doing(event.node, "uploads", event.time)
            case events.NodeFinished():
                self._finished(event)
            case _:
                pass

    def _doing(self, node: str, doing: str, now: float) -> None:
        self.at_work[node] = AtWork(doing, now)

    def _finished(self, event: events.NodeFinished) -> None:
        self.at_work.pop(event.node, None)
        self.done += 1
        self.bytes += event.bytes
        if not event.success:
            self.failed += 1
            self.failures.append(event)
