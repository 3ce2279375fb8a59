"""Finds and keeps the rate of StartSession that the account allows.

The service's limit is about 3 calls a second for a whole account (fact sheet of AWS's own HyperPod
skill; not an official quota), and others may be using it. So: start at that rate, rise while
nothing is refused, give way at once when something is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from hyperpod_eks_issue_report.errors import NodeCancelledError, ThrottledError
from hyperpod_eks_issue_report.ssm.session import SessionService, SessionTicket

#: Calls a second to begin with.
START_RATE = 3.0
_MIN_RATE = 0.5
_MAX_RATE = 400.0
#: Rising before the first refusal: doubles about every START_RATE-th second of clean calls.
_RISE = 1.15
_YIELD = 0.7
#: After a refusal the rate creeps up by this much a successful call, to find room that came free.
_CREEP = 0.02


class Pace:
    """When the next StartSession may go out; pure: times are given in seconds.

    `rate` is in calls a second. `next_slot(now)` reserves the next place and says how long to
    wait for it.
    """

    def __init__(self, rate: float = START_RATE) -> None:
        self.rate = rate
        self._free_at = 0.0
        self._refused_at: float | None = None

    def next_slot(self, now: float) -> float:
        """Reserve the next place; the seconds to wait for it."""
        slot = max(self._free_at, now)
        self._free_at = slot + 1.0 / self.rate
        return slot - now

    def accepted(self) -> None:
        """A call went through: ask for a little more."""
        grown = self.rate * _RISE if self._refused_at is None else self.rate + _CREEP
        self.rate = min(_MAX_RATE, grown)

    def refused(self, now: float) -> None:
        """A call was throttled: slow down, once for all calls that were under way together."""
        if self._refused_at is None or now - self._refused_at > 1.0:
            self.rate = max(_MIN_RATE, min(self.rate, 2 * START_RATE) * _YIELD)
            self._refused_at = now
            self._free_at = max(self._free_at, now + 1.0 / self.rate)


class PacedSessions:
    """A `SessionService` that waits its turn and asks again while StartSession is throttled.

    Nothing waits between an answer of StartSession and its use: the token is short-lived.

    Args:
        patience: seconds for which a throttled StartSession is asked again.
        on_wait: told how many seconds a throttled call will wait, by target.
        sleep, clock: for tests.
    """

    def __init__(
        self,
        inner: SessionService,
        pace: Pace,
        *,
        patience: float = 600.0,
        on_wait: Callable[[str, float], None] = lambda _target, _seconds: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._pace = pace
        self._patience = patience
        self._on_wait = on_wait
        self._sleep = sleep
        self._clock = clock
        self._closing = False
        # One caller at a time waits for the next place, so that a change of rate counts at once.
        self._queue = asyncio.Lock()

    def close(self) -> None:
        """Start no further session: whoever waits for a turn fails with NodeCancelledError."""
        self._closing = True

    async def start_session(
        self, target: str, document: str, parameters: Mapping[str, Sequence[str]], reason: str
    ) -> SessionTicket:
        """StartSession when its turn has come.

        Raises:
            ThrottledError: it was refused for longer than the patience.
            NodeCancelledError: the run is being stopped.
        """
        give_up: float | None = None
        while True:
            await self._turn()
            try:
                ticket = await self._inner.start_session(target, document, parameters, reason)
            except ThrottledError as error:
                self._pace.refused(self._clock())
                wait = random.uniform(0.2, 1.0)  # noqa: S311 # jitter, not a secret
                give_up = give_up or self._clock() + self._patience
                if self._clock() + wait >= give_up:
                    raise ThrottledError(
                        f"StartSession was throttled for {self._patience:.0f} s without a break."
                    ) from error
                self._on_wait(target, wait)
                await self._sleep(wait)
                continue
            self._pace.accepted()
            return ticket

    async def _turn(self) -> None:
        async with self._queue:
            if not self._closing:
                wait = self._pace.next_slot(self._clock())
                if wait > 0:
                    await self._sleep(wait)
        if self._closing:
            raise NodeCancelledError("The run was stopped before this node's session began.")

    async def resume_session(self, session_id: str) -> SessionTicket | None:
        return await self._inner.resume_session(session_id)

    async def terminate_session(self, session_id: str) -> None:
        await self._inner.terminate_session(session_id)
