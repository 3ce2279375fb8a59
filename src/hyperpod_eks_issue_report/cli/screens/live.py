"""The live view on a terminal: one line of totals, the nodes at work, failures as they happen.

Redrawn four times a second from a `Tally`, whatever the number of events, with at most
`SHOWN_NODES` rows, so that it costs the same with 8 nodes and with 2,000.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hyperpod_eks_issue_report import events
from hyperpod_eks_issue_report.cli.screens.tally import Tally
from hyperpod_eks_issue_report.cli.screens.text import (
    SHOWN_FAILURES,
    duration,
    failure_lines,
    size,
    summary_lines,
)
from hyperpod_eks_issue_report.model import Summary

SHOWN_NODES = 12


class LiveView:
    """Events may come from any thread; drawing happens in rich's own."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        self._lock = threading.Lock()
        self._live = Live(
            get_renderable=self._draw, console=console, refresh_per_second=4, transient=True
        )

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def event(self, event: events.Event) -> None:
        if isinstance(event, events.SummarySaved):
            self._saved(event)
            return
        with self._lock:
            self._tally.take(event)

    def _draw(self) -> RenderableType:
        with self._lock:
            tally, now = self._tally, time.time()
            if not tally.nodes:
                return Text("Asking SageMaker for the cluster's nodes …", style="dim")
            return Group(_totals(tally, now), _at_work(tally, now), *_failures(tally))

    def summary(self, summary: Summary) -> None:
        """Take the live view down and print what stays."""
        self.stop()
        good = summary.outcome == "all-succeeded"
        style = "bold green" if good else "bold red"
        self._console.print(
            Text(f"{summary.cluster.name}: {summary.outcome.replace('-', ' ')}", style=style)
        )
        for line in summary_lines(summary):
            self._console.print(Text(f"  {line}"))
        failed = [r for r in summary.nodes if not r.success]
        if failed:
            self._console.print(Text("Failed nodes", style="bold red"))
        for result in failed[:SHOWN_FAILURES]:
            first, *rest = failure_lines(result)
            self._console.print(Text(f"  ✗ {first}", style="red"))
            for line in rest:
                self._console.print(Text(f"  {line}", style="dim"))
        if len(failed) > SHOWN_FAILURES:
            self._console.print(f"  … and {len(failed) - SHOWN_FAILURES} more in summary.json")

    def _saved(self, event: events.SummarySaved) -> None:
        self.stop()
        for place in (event.path, event.s3_uri):
            if place:
                self._console.print(f"Summary  [bold]{escape(place)}[/bold]", soft_wrap=True)


def _totals(tally: Tally, now: float) -> RenderableType:
    line = Table.grid(padding=(0, 2))
    left = tally.estimate(now)
    line.add_row(
        ProgressBar(total=tally.nodes, completed=tally.done, width=24),
        Text(f"{tally.done}/{tally.nodes} done", style="bold"),
        f"{len(tally.at_work)} at work",
        f"{tally.waiting} waiting",
        Text(f"{tally.failed} failed", style="red" if tally.failed else ""),
        size(tally.bytes),
        duration(now - tally.started),
        f"about {duration(left)} left" if left is not None else "",
    )
    return line


def _at_work(tally: Tally, now: float) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    longest_first = sorted(tally.at_work.items(), key=lambda item: item[1].since)
    for node, work in longest_first[:SHOWN_NODES]:
        table.add_row(Text("  " + node), Text(work.doing, style="cyan"), duration(now - work.since))
    if len(tally.at_work) > SHOWN_NODES:
        table.add_row(Text(f"  … and {len(tally.at_work) - SHOWN_NODES} more", style="dim"))
    return table


def _failures(tally: Tally) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(f"  note: {n}", style="yellow") for n in tally.notices]
    for event in tally.failures:
        if event.failure is not None:
            text = f"  ✗ {event.node}: {event.failure.error}: {event.failure.message}"
            lines.append(Text(text, style="red", overflow="ellipsis", no_wrap=True))
    return lines


@contextmanager
def open_live() -> Iterator[LiveView]:
    view = LiveView(Console())
    view.start()
    try:
        yield view
    finally:
        view.stop()
