"""Runs a job on every node, a bounded number at a time, and always returns a result for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hyperpod_eks_issue_report.model import Node, NodeResult


class Job(Protocol):
    """One node's run; `interrupted()` is its result when it had to be stopped."""

    async def run(self) -> NodeResult: ...
    def interrupted(self) -> NodeResult: ...


@dataclass(slots=True)
class FleetResult:
    """Results in the order of the nodes, and the most that ran at once."""

    results: list[NodeResult]
    most_at_once: int = 0
    interrupted: bool = False


async def run_fleet(
    nodes: Sequence[Node],
    job: Callable[[Node], Job],
    *,
    max_workers: int,
    stop: asyncio.Event | None = None,
) -> FleetResult:
    """Run `job` for every node with at most `max_workers` at once.

    When `stop` is set, jobs under way are cancelled (each ends its session), no further one
    begins, and every node without a result gets its job's `interrupted()` one.
    """
    fleet = FleetResult(results=[])
    queue = iter(list(enumerate(nodes)))
    done: dict[int, NodeResult] = {}
    running: dict[int, Job] = {}

    async def worker() -> None:
        for index, node in queue:
            current = job(node)
            running[index] = current
            fleet.most_at_once = max(fleet.most_at_once, len(running))
            done[index] = await current.run()
            del running[index]

    workers = [asyncio.create_task(worker()) for _ in range(min(max_workers, len(nodes)))]
    fleet.interrupted = await _until_done(workers, stop)
    for index, node in enumerate(nodes):
        if index not in done:
            done[index] = (running.get(index) or job(node)).interrupted()
    fleet.results = [done[index] for index in range(len(nodes))]
    return fleet


async def _until_done(workers: list[asyncio.Task[None]], stop: asyncio.Event | None) -> bool:
    """Wait for all workers, or for `stop` and then for their orderly end."""
    everything: Awaitable[object] = asyncio.gather(*workers)
    waits = [asyncio.ensure_future(everything)]
    if stop is not None:
        waits.append(asyncio.ensure_future(stop.wait()))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        finished = waits[0].done()
        for waiting in waits:
            waiting.cancel()
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, *waits, return_exceptions=True)
    if finished and not waits[0].cancelled():
        waits[0].result()
    return not finished
