"""A session's deadlines: when the next one is due, and which one has passed.

Like the channel it reads no clock; all times are monotonic seconds.
"""

from __future__ import annotations

from hyperpod_eks_issue_report.errors import (
    HandshakeError,
    SessionTimeoutError,
    SilentSessionError,
)

from .records import Deadlines
from .states import State


class Patience:
    """Watches one session.

    Args:
        deadlines: seconds for each part.
        now: when the session started.
        expects_handshake: whether its kind always begins with one.
    """

    __slots__ = ("_deadlines", "_done_at", "_end", "_expects_handshake", "_handshake_by", "_last")

    def __init__(self, deadlines: Deadlines, now: float, *, expects_handshake: bool) -> None:
        self._deadlines = deadlines
        self._expects_handshake = expects_handshake
        self._end = now + deadlines.total
        self._handshake_by: float | None = None
        self._last = now
        self._done_at: float | None = None

    @property
    def end(self) -> float:
        """When the whole session's time is over."""
        return self._end

    def connected(self, now: float) -> None:
        """A websocket is open; the time without one was not the agent's silence."""
        self._last = now
        if self._handshake_by is None:
            self._handshake_by = now + self._deadlines.handshake

    def heard(self, now: float) -> None:
        """Something new of the agent arrived."""
        self._last = now

    def satisfied(self, now: float) -> None:
        """The caller has all it wants; from now on only the linger counts."""
        if self._done_at is None:
            self._done_at = now

    @property
    def is_satisfied(self) -> bool:
        """Whether `satisfied` has been called."""
        return self._done_at is not None

    def next(self, state: State) -> float:
        """The next deadline for a channel in this state."""
        if self._done_at is not None:
            return self._done_at + self._deadlines.linger
        due = min(self._end, self._last + self._deadlines.silence)
        handshake_by = self._awaits_handshake(state)
        return due if handshake_by is None else min(due, handshake_by)

    def lingered(self, now: float) -> bool:
        """Whether the service had long enough to close a session that is done."""
        return self._done_at is not None and now >= self._done_at + self._deadlines.linger

    def check(self, state: State, now: float) -> None:
        """Raise if a deadline has passed.

        Raises:
            SessionTimeoutError: the session as a whole took too long.
            HandshakeError: the agent did not complete the handshake in time.
            SilentSessionError: nothing new arrived for too long.
        """
        if self._done_at is not None:
            return
        self.check_total(now)
        handshake_by = self._awaits_handshake(state)
        if handshake_by is not None and now >= handshake_by:
            raise HandshakeError(
                "The node's SSM agent did not complete the handshake within "
                f"{self._deadlines.handshake:g} s.",
                hint="Check the node's load and its SSM agent, then run again for this node.",
            )
        if now >= self._last + self._deadlines.silence:
            raise SilentSessionError(
                f"Nothing new arrived from the node for {self._deadlines.silence:g} s."
            )

    def check_total(self, now: float) -> None:
        """Raise if the session as a whole took too long.

        Raises:
            SessionTimeoutError: it did.
        """
        if now >= self._end:
            raise SessionTimeoutError(
                f"The session was ended because it took longer than {self._deadlines.total:g} s."
            )

    def _awaits_handshake(self, state: State) -> float | None:
        if state is State.NEGOTIATING or (state is State.WAITING and self._expects_handshake):
            return self._handshake_by
        return None
