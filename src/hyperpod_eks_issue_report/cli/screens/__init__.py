"""What a run shows: rich on a terminal, plain lines, JSON lines, or nothing.

A screen is a sink of events (`events.EventSink`) and prints the summary at the end. To add one,
write a class with the methods of `Screen` and name it in `open_screen`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from hyperpod_eks_issue_report.events import Event
from hyperpod_eks_issue_report.model import Summary


class Screen(Protocol):
    """Where a run is shown. `event` may be called from any thread and must be quick."""

    def event(self, event: Event) -> None: ...
    def summary(self, summary: Summary) -> None: ...


class NoScreen:
    """Shows nothing; the exit code and summary.json tell."""

    def event(self, event: Event) -> None:
        pass

    def summary(self, summary: Summary) -> None:
        pass


@contextmanager
def _nothing() -> Iterator[Screen]:
    yield NoScreen()


def open_screen(progress: str) -> AbstractContextManager[Screen]:
    """The screen for a `--progress` value; `auto` is rich on a terminal and plain elsewhere."""
    if progress == "auto":
        progress = "rich" if sys.stdout.isatty() else "plain"
    if progress == "rich":
        from hyperpod_eks_issue_report.cli.screens.live import open_live

        return open_live()
    if progress == "plain":
        from hyperpod_eks_issue_report.cli.screens.plain import open_plain

        return open_plain()
    if progress == "jsonl":
        from hyperpod_eks_issue_report.cli.screens.jsonl import open_jsonl

        return open_jsonl()
    return _nothing()
