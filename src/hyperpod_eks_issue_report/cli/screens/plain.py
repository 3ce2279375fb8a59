"""Plain lines, one for each thing worth knowing: for logs, pipes and continuous integration."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hyperpod_eks_issue_report import events
from hyperpod_eks_issue_report.cli.screens.text import closing_lines, duration, size
from hyperpod_eks_issue_report.model import Summary


class PlainLines:
    """Writes a line when a node ends, and when the run begins and ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes = 0
        self._done = 0

    def event(self, event: events.Event) -> None:
        with self._lock:
            for line in self._lines(event):
                print(line, flush=True)  # this is the screen

    def _lines(self, event: events.Event) -> list[str]:
        match event:
            case events.RunStarted():
                self._nodes = event.nodes
                return [
                    f"Collecting from {event.nodes} nodes of {event.cluster}, "
                    f"{event.max_workers} sessions at once, into {event.destination}"
                ]
            case events.Notice():
                return [f"Note: {event.text}"]
            case events.NodeFinished():
                self._done += 1
                return [self._node(event)]
            case events.SummarySaved():
                places = [p for p in (event.path, event.s3_uri) if p]
                return [f"Summary: {' and '.join(places)}"]
            case _:
                return []

    def _node(self, event: events.NodeFinished) -> str:
        place = f"[{self._done}/{self._nodes}]"
        if event.failure is None:
            return f"{place} {event.node}: {size(event.bytes)} in {duration(event.seconds)}"
        return f"{place} {event.node}: FAILED: {event.failure.error}: {event.failure.message}"

    def summary(self, summary: Summary) -> None:
        print("\n".join(closing_lines(summary)), file=sys.stdout, flush=True)


@contextmanager
def open_plain() -> Iterator[PlainLines]:
    yield PlainLines()
