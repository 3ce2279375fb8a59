"""JSON lines for programs: one event a line on standard output (docs/json.md)."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from hyperpod_eks_issue_report.events import Event
from hyperpod_eks_issue_report.model import Summary


class JsonLines:
    """Writes each event as it happens; whole lines, also from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def event(self, event: Event) -> None:
        line = msgspec.json.encode(event).decode()
        with self._lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def summary(self, summary: Summary) -> None:
        """Nothing: `run-finished` and `summary-saved` have told it."""


@contextmanager
def open_jsonl() -> Iterator[JsonLines]:
    yield JsonLines()
