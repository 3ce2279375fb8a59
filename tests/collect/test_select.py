from __future__ import annotations

import pytest

from hyperpod_eks_issue_report.collect.select import select
from hyperpod_eks_issue_report.errors import NoNodesError, UsageError
from hyperpod_eks_issue_report.model import Node, Selection

from .nodes import CLUSTER, node

NODES = [
    node(1, status="Pending"),
    node(2),
    node(3, group="cpu"),
    node(4, group="cpu", status="Failure"),
    Node(instance_id="", instance_group="cpu", logical_id="logical-9", status="Pending"),
]


def ids(nodes: list[Node]) -> list[str]:
    return [n.instance_id or n.logical_id for n in nodes]


def test_everything_is_selected_with_running_nodes_first() -> None:
    assert ids(select(CLUSTER, NODES, Selection())) == ids(
        [NODES[1], NODES[2], NODES[0], NODES[3], NODES[4]]
    )


def test_a_group_matches_by_its_whole_name_in_any_case() -> None:
    chosen = select(CLUSTER, NODES, Selection(instance_groups=("GPU-Workers",)))
    assert ids(chosen) == ids([NODES[1], NODES[0]])
    with pytest.raises(UsageError):
        select(CLUSTER, NODES, Selection(instance_groups=("gpu",)))


def test_an_unknown_group_lists_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        select(CLUSTER, NODES, Selection(instance_groups=("workers",)))
    assert "'workers'" in str(caught.value)
    assert "'cpu', 'gpu-workers'" in caught.value.hint


@pytest.mark.parametrize(
    "name", [NODES[2].instance_id, NODES[2].eks_name, f" {NODES[2].instance_id} "]
)
def test_a_node_is_named_by_instance_id_or_eks_name(name: str) -> None:
    assert ids(select(CLUSTER, NODES, Selection(nodes=(name,)))) == [NODES[2].instance_id]


def test_a_node_is_named_by_logical_id() -> None:
    assert ids(select(CLUSTER, NODES, Selection(nodes=("logical-9",)))) == ["logical-9"]


def test_an_unknown_node_is_an_error_that_names_it_and_the_forms() -> None:
    with pytest.raises(UsageError) as caught:
        select(CLUSTER, NODES, Selection(nodes=(NODES[1].instance_id, "node-7")))
    assert "'node-7'" in str(caught.value)
    assert NODES[1].instance_id not in str(caught.value)
    assert "hyperpod-i-" in caught.value.hint


def test_a_known_node_outside_the_chosen_group_is_an_error() -> None:
    selection = Selection(instance_groups=("cpu",), nodes=(NODES[1].instance_id,))
    with pytest.raises(UsageError, match="in the chosen instance groups"):
        select(CLUSTER, NODES, selection)


def test_no_nodes_at_all_is_an_error() -> None:
    with pytest.raises(NoNodesError):
        select(CLUSTER, [], Selection())
    with pytest.raises(NoNodesError, match="in the chosen instance groups"):
        select(CLUSTER, [node(1, group="cpu")], Selection(instance_groups=("gpu-workers",)))
