"""What happens in a run, as frozen records: the one source of every screen and log.

An event never holds a token, a credential or a presigned URL. As JSON each carries its kind in
`event` (for example `node-finished`) and `time`, seconds since the epoch on the user's clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from hyperpod_eks_issue_report.model import Failure, Totals


def _kind(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", class_name).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=_kind):
    time: float


class RunStarted(Event, frozen=True, kw_only=True):
    report_id: str
    cluster: str
    cluster_id: str
    nodes: int
    max_workers: int
    destination: str


class Notice(Event, frozen=True, kw_only=True):
    """Something the user should know that stops nothing."""

    text: str


class NodeWaiting(Event, frozen=True, kw_only=True):
    """StartSession was throttled; the node waits for its turn again."""

    node: str
    retry_in: float


class NodeStarted(Event, frozen=True, kw_only=True):
    """The node has its place and asks for a session."""

    node: str


class NodeConnected(Event, frozen=True, kw_only=True):
    node: str
    session_id: str


class TaskStarted(Event, frozen=True, kw_only=True):
    node: str
    task: str


class TaskFinished(Event, frozen=True, kw_only=True):
    node: str
    task: str
    exit_code: int
    seconds: float
    bytes: int
    timed_out: bool = False


class TarballReady(Event, frozen=True, kw_only=True):
    node: str
    bytes: int


class NodeFinished(Event, frozen=True, kw_only=True):
    node: str
    success: bool
    seconds: float
    bytes: int = 0
    failure: Failure | None = None


class RunFinished(Event, frozen=True, kw_only=True):
    outcome: str
    seconds: float
    totals: Totals


class SummarySaved(Event, frozen=True, kw_only=True):
    s3_uri: str | None = None
    path: str | None = None


AnyEvent = (
    RunStarted
    | Notice
    | NodeWaiting
    | NodeStarted
    | NodeConnected
    | TaskStarted
    | TaskFinished
    | TarballReady
    | NodeFinished
    | RunFinished
    | SummarySaved
)

#: Whoever watches a run: called in the run's own thread, must return at once.
EventSink = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """The sink of a run that nobody watches."""
