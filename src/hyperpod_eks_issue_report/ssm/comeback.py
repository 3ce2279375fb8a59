"""Brings a dropped connection back: ResumeSession and a new dial, with growing pauses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hyperpod_eks_issue_report.errors import (
    DialError,
    ServiceError,
    SessionLostError,
    ThrottledError,
)

from .records import SessionService, SessionTicket

T = TypeVar("T")

#: A connection that held this many seconds was a good one: the next drop starts a new outage.
STABLE = 5.0
MAX_DELAY = 5.0


def reconnect_delay(attempt: int) -> float:
    """Seconds before reconnect attempt 0, 1, …: 100 to 199 ms, doubled each time, at most 5 s.

    The plugin's values (`src/sessionmanagerplugin/session/sessionhandler.go`).
    """
    first = random.uniform(0.1, 0.199)  # noqa: S311 (jitter, no secret)
    return min(MAX_DELAY, first * 2.0 ** min(attempt, 10))


class Comeback:
    """Reconnects one session, and remembers across drops how hard that has been.

    Connections that open and drop at once count as one outage, so that they cannot go on without
    pause and without end.

    Args:
        service: gives the new tokens.
        budget: seconds one outage may last.
    """

    __slots__ = ("_attempt", "_budget", "_service", "_since")

    def __init__(self, service: SessionService, budget: float) -> None:
        self._service = service
        self._budget = budget
        self._attempt = 0
        self._since: float | None = None

    def proven(self) -> None:
        """The connection works: the next drop starts a new outage."""
        self._attempt = 0
        self._since = None

    async def bring_back(
        self,
        ticket: SessionTicket,
        dial: Callable[[SessionTicket], Awaitable[T]],
        *,
        until: float,
    ) -> T:
        """A new connection for the session of `ticket`, from `dial`.

        Args:
            ticket: the session and the address to use if the service gives no other.
            dial: opens a connection or raises DialError.
            until: give up at this loop time, even if the outage's budget is not used up.

        Raises:
            SessionLostError: the session has ended, or time is over.
        """
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
        problem = ""
        try:
            async with asyncio.timeout_at(min(until, self._since + self._budget)):
                while True:
                    await asyncio.sleep(reconnect_delay(self._attempt))
                    self._attempt += 1
                    try:
                        return await dial(await self._renew(ticket))
                    except (DialError, ServiceError, ThrottledError) as error:
                        problem = f" The last attempt failed: {error}"
        except TimeoutError:
            pass
        raise SessionLostError(
            f"The connection dropped and could not be brought back within {self._budget:g} s."
            f"{problem}"
        )

    async def _renew(self, ticket: SessionTicket) -> SessionTicket:
        renewed = await self._service.resume_session(ticket.session_id)
        if renewed is None:
            raise SessionLostError(
                "The connection dropped, and the session had ended before it could be resumed."
            )
        return SessionTicket(
            ticket.session_id, renewed.token, renewed.stream_url or ticket.stream_url
        )
