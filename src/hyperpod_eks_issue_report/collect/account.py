"""What one node has told about itself so far: from protocol lines to the parts of a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hyperpod_eks_issue_report import events
from hyperpod_eks_issue_report.model import CommandResult, Plan, StageSeconds
from hyperpod_eks_issue_report.script.lines import (
    Failed,
    NodeLines,
    ScriptFetched,
    Tarball,
    TaskFinished,
    TaskStarted,
    Uploaded,
)


@dataclass(slots=True)
class Stopwatch:
    """When each stage of a node's life was reached, on the user's monotonic clock, in seconds."""

    clock: Callable[[], float]
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, stage: str) -> None:
        self.marks.setdefault(stage, self.clock())

    def seconds(self) -> StageSeconds:
        """Durations between the marks that were reached; a stage cut short ends at `end`."""
        order = ("queued", "started", "connected", "fetched", "packed", "uploaded", "end")
        names = ("waiting", "connecting", "fetching", "collecting", "uploading", "verifying")
        spans: dict[str, float] = {}
        for name, begin, finish in zip(names, order, order[1:], strict=False):
            if begin in self.marks:
                stop = self.marks.get(finish, self.marks.get("end"))
                if stop is not None:
                    spans[name] = round(stop - self.marks[begin], 3)
        if {"queued", "end"} <= self.marks.keys():
            spans["total"] = round(self.marks["end"] - self.marks["queued"], 3)
        return StageSeconds(**spans)


class NodeAccount:
    """Reads one node's stdout; keeps what it announced and tells the run's events.

    `now` is the wall clock in seconds since the epoch, for the events' time.
    """

    def __init__(
        self,
        node: str,
        plan: Plan,
        watch: Stopwatch,
        sink: events.EventSink,
        now: Callable[[], float],
    ) -> None:
        self.lines = NodeLines()
        self.script_via: str | None = None
        self.upload_via: str | None = None
        self.tarball: Tarball | None = None
        self.failed: Failed | None = None
        self._node = node
        self._plan = plan
        self._watch = watch
        self._sink = sink
        self._now = now
        self._finished: dict[str, CommandResult] = {}
        self._files = {task.id: task.file for task in plan.tasks}

    def feed(self, data: bytes) -> None:
        """Take what the session brought, in any pieces."""
        for record in self.lines.feed(data):
            self._take(record)

    def _take(self, record: object) -> None:
        match record:
            case ScriptFetched():
                self.script_via = record.via
                self._watch.mark("fetched")
            case TaskStarted() if record.id in self._files:
                self._sink(events.TaskStarted(time=self._now(), node=self._node, task=record.id))
            case TaskFinished() if record.id in self._files:
                self._task_finished(record)
            case Tarball():
                self.tarball = record
                self._watch.mark("packed")
                self._sink(
                    events.TarballReady(time=self._now(), node=self._node, bytes=record.bytes)
                )
            case Uploaded():
                self.upload_via = record.via
                self._watch.mark("uploaded")
            case Failed():
                self.failed = record
            case _:
                pass

    def _task_finished(self, record: TaskFinished) -> None:
        seconds = record.ms / 1000
        self._finished[record.id] = CommandResult(
            id=record.id,
            file=self._files[record.id],
            exit_code=record.rc,
            seconds=seconds,
            bytes=record.bytes,
            timed_out=record.timeout,
        )
        self._sink(
            events.TaskFinished(
                time=self._now(),
                node=self._node,
                task=record.id,
                exit_code=record.rc,
                seconds=seconds,
                bytes=record.bytes,
                timed_out=record.timeout,
            )
        )

    def commands(self) -> tuple[CommandResult, ...]:
        """One record a task of the plan; a task that never reported has no exit code."""
        if not self._finished and self.script_via is None:
            return ()
        return tuple(
            self._finished.get(task.id) or CommandResult(id=task.id, file=task.file)
            for task in self._plan.tasks
        )
