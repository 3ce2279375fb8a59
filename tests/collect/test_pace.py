from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from hyperpod_eks_issue_report.collect.pace import Pace, PacedSessions
from hyperpod_eks_issue_report.errors import (
    NodeCancelledError,
    TargetNotConnectedError,
    ThrottledError,
)
from hyperpod_eks_issue_report.ssm.session import SessionTicket


class Clock:
    """Simulated time: sleeping moves it on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Limited:
    """StartSession with the service's token bucket: `rate` a second, `burst` at once."""

    def __init__(self, clock: Clock, rate: float, burst: float = 3.0) -> None:
        self.clock, self.rate, self.burst = clock, rate, burst
        self.tokens, self.at = burst, 0.0
        self.accepted = self.refused = 0

    async def start_session(
        self, target: str, document: str, parameters: Mapping[str, Sequence[str]], reason: str
    ) -> SessionTicket:
        self.tokens = min(self.burst, self.tokens + (self.clock.now - self.at) * self.rate)
        self.at = self.clock.now
        if self.tokens < 1:
            self.refused += 1
            raise ThrottledError("Rate exceeded")
        self.tokens -= 1
        self.accepted += 1
        return SessionTicket(target, "token", "wss://example.invalid")

    async def resume_session(self, session_id: str) -> SessionTicket | None:
        raise AssertionError

    async def terminate_session(self, session_id: str) -> None:
        raise AssertionError


async def start_all(paced: PacedSessions, count: int) -> None:
    await asyncio.gather(
        *(paced.start_session(f"node-{n}", "document", {}, "reason") for n in range(count))
    )


async def test_it_settles_at_the_accounts_limit_with_few_refusals() -> None:
    clock = Clock()
    service = Limited(clock, rate=3.0)
    await start_all(
        PacedSessions(service, Pace(), sleep=clock.sleep, clock=clock, patience=1e9), 300
    )
    assert service.accepted == 300
    assert clock.now < 1.25 * 300 / 3.0
    assert service.refused < 120


async def test_it_rises_where_nothing_is_refused() -> None:
    clock = Clock()
    service = Limited(clock, rate=1e9, burst=1e9)
    await start_all(PacedSessions(service, Pace(), sleep=clock.sleep, clock=clock), 1000)
    assert service.refused == 0
    assert clock.now < 10.0


async def test_throttling_for_minutes_is_waited_out_and_told() -> None:
    clock = Clock()
    service = Limited(clock, rate=1 / 200, burst=1.0)
    service.tokens = 0.0
    waits: list[tuple[str, float]] = []
    paced = PacedSessions(
        service,
        Pace(),
        sleep=clock.sleep,
        clock=clock,
        on_wait=lambda target, seconds: waits.append((target, seconds)),
    )
    ticket = await paced.start_session("node-1", "document", {}, "reason")
    assert ticket.session_id == "node-1"
    assert clock.now >= 200
    assert waits
    assert {target for target, _ in waits} == {"node-1"}


async def test_throttling_without_end_is_the_nodes_error() -> None:
    clock = Clock()
    service = Limited(clock, rate=0.0, burst=0.0)
    paced = PacedSessions(service, Pace(), patience=90, sleep=clock.sleep, clock=clock)
    with pytest.raises(ThrottledError, match="90 s"):
        await paced.start_session("node-1", "document", {}, "reason")
    assert 85 < clock.now < 95


async def test_a_node_that_is_not_connected_is_not_asked_again() -> None:
    clock = Clock()
    calls = []

    class NotConnected(Limited):
        async def start_session(
            self, target: str, document: str, parameters: Mapping[str, Sequence[str]], reason: str
        ) -> SessionTicket:
            calls.append(target)
            raise TargetNotConnectedError("not connected")

    paced = PacedSessions(NotConnected(clock, 3.0), Pace(), sleep=clock.sleep, clock=clock)
    with pytest.raises(TargetNotConnectedError):
        await paced.start_session("node-1", "document", {}, "reason")
    assert calls == ["node-1"]


async def test_a_stopped_run_starts_no_further_session() -> None:
    clock = Clock()
    service = Limited(clock, rate=3.0)
    paced = PacedSessions(service, Pace(), sleep=clock.sleep, clock=clock)
    paced.close()
    with pytest.raises(NodeCancelledError):
        await paced.start_session("node-1", "document", {}, "reason")
    assert service.accepted == 0
