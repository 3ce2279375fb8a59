"""Nodes and doubles that the tests of this room share."""

from __future__ import annotations

from hyperpod_eks_issue_report.model import Cluster, Node, NodeResult

CLUSTER = Cluster(
    name="train",
    arn="arn:aws:sagemaker:us-west-2:111122223333:cluster/abcdefghijkl",
    cluster_id="abcdefghijkl",
    orchestrator="eks",
    instance_groups=("gpu-workers", "cpu"),
)


def node(number: int, group: str = "gpu-workers", status: str = "Running", **more: str) -> Node:
    return Node(
        instance_id=f"i-{number:017x}",
        instance_group=group,
        instance_type="ml.p5.48xlarge",
        status=status,
        **more,  # type: ignore[arg-type]
    )


def result(source: Node, *, success: bool = True) -> NodeResult:
    return NodeResult(
        instance_id=source.instance_id, instance_group=source.instance_group, success=success
    )
