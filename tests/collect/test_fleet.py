from __future__ import annotations

import asyncio

from hyperpod_eks_issue_report.collect.fleet import run_fleet
from hyperpod_eks_issue_report.collect.override import SubclassJob
from hyperpod_eks_issue_report.events import Event, ignore
from hyperpod_eks_issue_report.model import Node, NodeResult

from .nodes import node, result

NODES = [node(n) for n in range(20)]


class Gate:
    """Jobs that wait for `open`; counts how many are inside."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.full = asyncio.Event()
        self.inside = self.most = 0
        self.full_at = 0

    def job(self, source: Node) -> GateJob:
        return GateJob(self, source)


class GateJob:
    def __init__(self, gate: Gate, source: Node) -> None:
        self.gate, self.source = gate, source

    async def run(self) -> NodeResult:
        gate = self.gate
        gate.inside += 1
        gate.most = max(gate.most, gate.inside)
        if gate.inside == gate.full_at:
            gate.full.set()
        try:
            await gate.open.wait()
        finally:
            gate.inside -= 1
        return result(self.source)

    def interrupted(self) -> NodeResult:
        return result(self.source, success=False)


async def test_never_more_than_max_workers_at_once_and_results_in_order() -> None:
    gate = Gate()
    gate.full_at = 7
    run = asyncio.create_task(run_fleet(NODES, gate.job, max_workers=7))
    await gate.full.wait()
    gate.open.set()
    fleet = await run
    assert gate.most == fleet.most_at_once == 7
    assert [r.instance_id for r in fleet.results] == [n.instance_id for n in NODES]
    assert all(r.success for r in fleet.results)
    assert not fleet.interrupted


async def test_a_stop_cancels_what_runs_and_answers_for_every_node() -> None:
    gate = Gate()
    gate.full_at = 5
    stop = asyncio.Event()
    run = asyncio.create_task(run_fleet(NODES, gate.job, max_workers=5, stop=stop))
    await gate.full.wait()
    stop.set()
    fleet = await run
    assert fleet.interrupted
    assert gate.inside == 0
    assert [r.instance_id for r in fleet.results] == [n.instance_id for n in NODES]
    assert not any(r.success for r in fleet.results)


async def test_a_subclass_that_raises_fails_its_node_alone() -> None:
    def execute(source: Node) -> NodeResult:
        if source is NODES[3]:
            raise ZeroDivisionError("of all things")
        return result(source)

    told: list[Event] = []
    fleet = await run_fleet(NODES, lambda n: SubclassJob(execute, told.append, n), max_workers=4)
    failed = [r for r in fleet.results if not r.success]
    assert [r.instance_id for r in failed] == [NODES[3].instance_id]
    assert failed[0].failure is not None
    assert failed[0].failure.error == "ZeroDivisionError"
    assert len(told) == 1
    ignore(told[0])
