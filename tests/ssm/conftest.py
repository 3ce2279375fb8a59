"""Every test of this room: no proxy of the environment, no waiting between reconnects."""

from __future__ import annotations

import os

import pytest

from hyperpod_eks_issue_report.ssm import comeback


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comeback, "reconnect_delay", lambda _attempt: 0.0)
