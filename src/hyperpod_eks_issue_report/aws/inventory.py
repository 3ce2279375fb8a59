"""Asks SageMaker for a cluster and its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from hyperpod_eks_issue_report.aws.failures import NOT_FOUND_CODES, code_of, translate
from hyperpod_eks_issue_report.errors import ClusterNotFoundError, UsageError
from hyperpod_eks_issue_report.model import Cluster, Node

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

#: ListClusterNodes gives at most 100 nodes a page (botocore's service model).
PAGE_SIZE = 100


def describe_cluster(client: SageMakerClient, name: str) -> Cluster:
    """DescribeCluster by name or ARN.

    Raises:
        ClusterNotFoundError: no such cluster in this account and region.
        UsageError: the cluster is not orchestrated by EKS.
        CredentialsError, AccessDeniedError, ServiceError: as they say.
    """
    try:
        answer: Mapping[str, Any] = client.describe_cluster(ClusterName=name)
    except ClientError as error:
        if code_of(error) in NOT_FOUND_CODES:
            raise ClusterNotFoundError(
                f"There is no HyperPod cluster {name!r} in region {client.meta.region_name}.",
                hint="`aws sagemaker list-clusters` names those there are; check --region.",
            ) from error
        raise translate(error, "DescribeCluster", "sagemaker:DescribeCluster") from error
    except BotoCoreError as error:
        raise translate(error, "DescribeCluster", "sagemaker:DescribeCluster") from error
    cluster = _cluster(answer)
    if cluster.orchestrator != "eks":
        raise UsageError(
            f"Cluster {cluster.name!r} is not orchestrated by EKS.",
            hint="Only HyperPod clusters with the EKS orchestrator are supported so far.",
        )
    return cluster


def _cluster(answer: Mapping[str, Any]) -> Cluster:
    arn = str(answer["ClusterArn"])
    eks = answer.get("Orchestrator", {}).get("Eks", {})
    groups = [*answer.get("InstanceGroups", []), *answer.get("RestrictedInstanceGroups", [])]
    return Cluster(
        name=str(answer.get("ClusterName") or arn.rsplit("/", 1)[-1]),
        arn=arn,
        cluster_id=arn.rsplit("/", 1)[-1],
        status=str(answer.get("ClusterStatus", "")),
        orchestrator="eks" if eks else "slurm",
        eks_cluster_arn=str(eks.get("ClusterArn", "")),
        node_recovery=str(answer.get("NodeRecovery", "")),
        node_provisioning_mode=str(answer.get("NodeProvisioningMode", "")),
        instance_groups=tuple(str(g["InstanceGroupName"]) for g in groups),
    )


def list_nodes(client: SageMakerClient, name: str) -> list[Node]:
    """All pages of ListClusterNodes, with the nodes that have no instance id yet.

    Raises:
        CredentialsError, AccessDeniedError, ServiceError: as they say.
    """
    pages = client.get_paginator("list_cluster_nodes").paginate(
        ClusterName=name,
        IncludeNodeLogicalIds=True,
        PaginationConfig={"PageSize": PAGE_SIZE},
    )
    try:
        return [_node(item) for page in pages for item in page.get("ClusterNodeSummaries", [])]
    except (ClientError, BotoCoreError) as error:
        raise translate(error, "ListClusterNodes", "sagemaker:ListClusterNodes") from error


def _node(item: Mapping[str, Any]) -> Node:
    status = item.get("InstanceStatus", {})
    return Node(
        instance_id=str(item.get("InstanceId") or ""),
        instance_group=str(item.get("InstanceGroupName") or ""),
        instance_type=str(item.get("InstanceType") or ""),
        status=str(status.get("Status") or ""),
        status_message=str(status.get("Message") or ""),
        logical_id=str(item.get("NodeLogicalId") or ""),
        private_dns=str(item.get("PrivateDnsHostname") or ""),
        launch_time=item.get("LaunchTime"),
    )
