from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hyperpod_eks_issue_report.collect.layout import Layout
from hyperpod_eks_issue_report.model import Node

from .nodes import node

STARTED = datetime(2026, 3, 1, 3, 4, 5, tzinfo=UTC)


def test_the_keys_of_a_run() -> None:
    layout = Layout("bucket", "/reports//eks/", "train", STARTED)
    assert layout.base == "reports/eks/train/20260301T030405Z/"
    assert layout.script_key == layout.base + "collector_script.sh"
    assert layout.summary_key == layout.base + "summary.json"
    assert layout.result_key(node(1)) == (
        layout.base + "results/gpu-workers_i-00000000000000001_20260301T030405Z.tar.gz"
    )
    assert layout.uri(layout.summary_key) == "s3://bucket/" + layout.summary_key


@pytest.mark.parametrize("group", ["../../x", "a b", "$(id)", "-rf", "é\n", "..", ""])
def test_hostile_names_stay_inside_the_run(group: str) -> None:
    layout = Layout("bucket", "", "../c", STARTED)
    key = layout.result_key(Node(instance_id="i-1", instance_group=group))
    folder, _, name = key.rpartition("/")
    assert folder == layout.base + "results"
    assert name.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
    assert not name.startswith(".")
    assert Path("/out") in layout.local(Path("/out")).resolve().parents
