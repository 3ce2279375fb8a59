"""The deadlines of a session, without waiting for any."""

from __future__ import annotations

import pytest

from hyperpod_eks_issue_report.errors import (
    HandshakeError,
    SessionTimeoutError,
    SilentSessionError,
)
from hyperpod_eks_issue_report.ssm.patience import Patience
from hyperpod_eks_issue_report.ssm.records import Deadlines
from hyperpod_eks_issue_report.ssm.states import State

DEADLINES = Deadlines(handshake=10, silence=20, total=100, linger=5)
START = 1000.0


@pytest.fixture
def patience() -> Patience:
    watched = Patience(DEADLINES, START, expects_handshake=True)
    watched.connected(START)
    return watched


def test_the_handshake_comes_first(patience: Patience) -> None:
    assert patience.next(State.WAITING) == START + 10
    patience.check(State.WAITING, START + 9.9)
    for state in (State.WAITING, State.NEGOTIATING):
        with pytest.raises(HandshakeError):
            patience.check(state, START + 10)
    patience.check(State.OPEN, START + 10)


def test_no_handshake_is_awaited_on_a_terminal_until_it_has_begun() -> None:
    patience = Patience(DEADLINES, START, expects_handshake=False)
    patience.connected(START)
    patience.check(State.WAITING, START + 10)
    with pytest.raises(HandshakeError):
        patience.check(State.NEGOTIATING, START + 10)


def test_silence_counts_from_the_last_news(patience: Patience) -> None:
    patience.heard(START + 15)
    assert patience.next(State.OPEN) == START + 35
    patience.check(State.OPEN, START + 34.9)
    with pytest.raises(SilentSessionError):
        patience.check(State.OPEN, START + 35)


def test_time_without_a_connection_is_not_the_nodes_silence(patience: Patience) -> None:
    patience.connected(START + 30)
    patience.check(State.OPEN, START + 49)
    with pytest.raises(HandshakeError):
        patience.check(State.NEGOTIATING, START + 49)


def test_the_total_goes_on_whatever_is_heard(patience: Patience) -> None:
    patience.heard(START + 99)
    assert patience.next(State.OPEN) == patience.end == START + 100
    with pytest.raises(SessionTimeoutError):
        patience.check(State.OPEN, START + 100)
    with pytest.raises(SessionTimeoutError):
        patience.check_total(START + 100)


def test_once_satisfied_only_the_linger_counts(patience: Patience) -> None:
    assert not patience.lingered(START + 10_000)
    patience.satisfied(START + 1)
    patience.satisfied(START + 4)
    assert patience.next(State.NEGOTIATING) == START + 6
    assert not patience.lingered(START + 5.9)
    assert patience.lingered(START + 6)
    patience.check(State.NEGOTIATING, START + 10_000)
