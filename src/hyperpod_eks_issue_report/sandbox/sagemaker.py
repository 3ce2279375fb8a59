"""The SageMaker calls of a HyperPod cluster, answered from a `World`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

from .aws_json import ApiError
from .scenario import Group
from .world import EPOCH, ClusterEvent, Node, World

Body: TypeAlias = dict[str, Any]
RELEASE = "1.1.3"


class SageMaker:
    """`operations` maps a name to its handler: request body → answer."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.operations: dict[str, Callable[[Body], Body]] = {
            "ListClusters": self._list_clusters,
            "DescribeCluster": self._describe_cluster,
            "ListClusterNodes": self._list_nodes,
            "DescribeClusterNode": self._describe_node,
            "ListClusterEvents": self._list_events,
            "DescribeClusterEvent": self._describe_event,
        }

    def _find(self, name: str) -> None:
        cluster = self._world.scenario.cluster
        if name not in (cluster.name, self._world.cluster_arn):
            arn = f"arn:aws:sagemaker:{cluster.region}:{cluster.account}:cluster/{name}"
            raise ApiError("ResourceNotFound", f"Cluster with name {name} not found: {arn}")

    def _list_clusters(self, body: Body) -> Body:
        cluster = self._world.scenario.cluster
        fits = body.get("NameContains", "") in cluster.name and _in_period(body, EPOCH)
        summary = {
            "ClusterArn": self._world.cluster_arn,
            "ClusterName": cluster.name,
            "CreationTime": EPOCH,
            "ClusterStatus": cluster.status,
        }
        return _page([summary] if fits else [], body, "ClusterSummaries", default=10)

    def _describe_cluster(self, body: Body) -> Body:
        self._find(body["ClusterName"])
        cluster = self._world.scenario.cluster
        answer: Body = {
            "ClusterArn": self._world.cluster_arn,
            "ClusterName": cluster.name,
            "ClusterStatus": cluster.status,
            "CreationTime": EPOCH,
            "InstanceGroups": [self._group(group) for group in self._world.scenario.groups],
            "VpcConfig": {
                "SecurityGroupIds": ["sg-0a1b2c3d4e5f60718"],
                "Subnets": ["subnet-0a1b2c3d4e5f60718"],
            },
            "Orchestrator": {
                "Eks": {
                    "ClusterArn": f"arn:aws:eks:{cluster.region}:{cluster.account}"
                    f":cluster/{cluster.name}-eks"
                }
            },
            "NodeRecovery": cluster.node_recovery,
        }
        if cluster.continuous:
            answer["NodeProvisioningMode"] = "Continuous"
        if cluster.failure_message:
            answer["FailureMessage"] = cluster.failure_message
        return answer

    def _group(self, group: Group) -> Body:
        cluster = self._world.scenario.cluster
        answer: Body = {
            "InstanceGroupName": group.name,
            "CurrentCount": group.count,
            "TargetCount": group.count if group.target_count is None else group.target_count,
            "LifeCycleConfig": _lifecycle(cluster.region),
            "ExecutionRole": f"arn:aws:iam::{cluster.account}:role/{cluster.name}-execution",
            "ThreadsPerCore": 2,
            "InstanceStorageConfigs": [{"EbsVolumeConfig": {"VolumeSizeInGB": 500}}],
            "Status": group.status,
            "CurrentImageReleaseVersion": RELEASE,
            "ImageVersionStatus": "UpToDate",
        }
        if group.flexible:
            answer["InstanceRequirements"] = {"CurrentInstanceTypes": [group.instance_type]}
            answer["InstanceTypeDetails"] = [
                {"InstanceType": group.instance_type, "CurrentCount": group.count}
            ]
        else:
            answer["InstanceType"] = group.instance_type
        return answer

    def _list_nodes(self, body: Body) -> Body:
        self._find(body["ClusterName"])
        logical = bool(body.get("IncludeNodeLogicalIds"))
        wanted = body.get("InstanceGroupNameContains", "")
        nodes = [
            node
            for node in self._world.nodes
            if wanted in node.identity.group
            and (node.settings.has_instance_id or logical)
            and _in_period(body, node.identity.launched)
        ]
        if body.get("SortBy") == "NAME":
            nodes.sort(key=lambda node: (node.identity.group, node.instance_id))
        if body.get("SortOrder") == "Descending":
            nodes.reverse()
        return _page([_summary(node, logical) for node in nodes], body, "ClusterNodeSummaries")

    def _describe_node(self, body: Body) -> Body:
        self._find(body["ClusterName"])
        if ("NodeId" in body) == ("NodeLogicalId" in body):
            raise ApiError(
                "ValidationException",
                "Exactly one of NodeId or NodeLogicalId must be provided in the request.",
            )
        key = body.get("NodeId") or body.get("NodeLogicalId")
        for node in self._world.nodes:
            if key in (
                node.identity.logical_id,
                node.settings.has_instance_id and node.instance_id,
            ):
                return {"NodeDetails": self._details(node)}
        raise ApiError("ResourceNotFound", f"Instance with id {key} not found in cluster.")

    def _details(self, node: Node) -> Body:
        who = node.identity
        summary = _summary(node, self._world.scenario.cluster.continuous)
        return summary | {
            "LastSoftwareUpdateTime": who.launched,
            "LifeCycleConfig": _lifecycle(self._world.scenario.cluster.region),
            "ThreadsPerCore": 2,
            "PrivatePrimaryIp": who.ip,
            "Placement": {"AvailabilityZone": who.zone, "AvailabilityZoneId": who.zone_id},
            "CurrentImageId": who.image_id,
            "DesiredImageId": who.image_id,
            "CapacityType": node.settings.capacity_type,
        }

    def _events(self, body: Body) -> list[ClusterEvent]:
        self._find(body["ClusterName"])
        if not self._world.scenario.cluster.continuous:
            raise ApiError(
                "ValidationException",
                "This API is only supported for clusters with NodeProvisioningMode set to "
                "Continuous.",
            )
        return self._world.events()

    def _list_events(self, body: Body) -> Body:
        events = [
            event
            for event in self._events(body)
            if body.get("InstanceGroupName") in (None, event.group)
            and body.get("NodeId") in (None, event.instance_id)
            and body.get("ResourceType") in (None, event.resource_type)
            and _in_period(body, event.time, "EventTime")
        ]
        if body.get("SortOrder") == "Ascending":
            events.reverse()
        return _page([self._event(event) for event in events], body, "Events")

    def _describe_event(self, body: Body) -> Body:
        for event in self._events(body):
            if event.event_id == body["EventId"]:
                return {"EventDetails": self._event(event) | _event_metadata(event)}
        raise ApiError("ResourceNotFound", f"Event with id {body['EventId']} not found.")

    def _event(self, event: ClusterEvent) -> Body:
        optional = {
            "InstanceGroupName": event.group,
            "InstanceId": event.instance_id,
            "EventLevel": event.level,
        }
        return {
            "EventId": event.event_id,
            "ClusterArn": self._world.cluster_arn,
            "ClusterName": self._world.scenario.cluster.name,
            "ResourceType": event.resource_type,
            "EventTime": event.time,
            "Description": event.description,
        } | {key: value for key, value in optional.items() if value is not None}


def _event_metadata(event: ClusterEvent) -> Body:
    """The failure's real text is nested twice, under the resource's own branch."""
    detail = {} if event.failure_message is None else {"FailureMessage": event.failure_message}
    return {"EventDetails": {"EventMetadata": {event.resource_type: detail}}}


def _summary(node: Node, logical: bool) -> Body:
    who, settings = node.identity, node.settings
    status = {"Status": settings.status, "Message": settings.message}
    summary: Body = {
        "InstanceGroupName": who.group,
        "InstanceId": who.instance_id if settings.has_instance_id else "",
        "InstanceType": who.instance_type,
        "LaunchTime": who.launched,
        "InstanceStatus": status,
    }
    if logical:
        summary["NodeLogicalId"] = who.logical_id
    if settings.has_instance_id:
        summary["PrivateDnsHostname"] = who.hostname
        summary["CurrentImageReleaseVersion"] = RELEASE
    return summary


def _lifecycle(region: str) -> Body:
    return {"SourceS3Uri": f"s3://sagemaker-lifecycle-{region}/scripts", "OnCreate": "on_create.sh"}


def _in_period(body: Body, time: datetime, prefix: str = "CreationTime") -> bool:
    after = _time(body.get(f"{prefix}After"))
    before = _time(body.get(f"{prefix}Before"))
    return (after is None or time >= after) and (before is None or time <= before)


def _time(value: float | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value, tz=UTC)


def _page(items: list[Body], body: Body, key: str, default: int = 100) -> Body:
    """Cut one page out; the token is opaque, and one that was not given out is refused."""
    token = body.get("NextToken")
    try:
        start = 0 if not token else int(base64.b64decode(token, validate=True).decode())
    except ValueError:
        raise ApiError("ValidationException", "Invalid NextToken.") from None
    end = start + body.get("MaxResults", default)
    answer: Body = {key: items[start:end]}
    if end < len(items):
        answer["NextToken"] = base64.b64encode(str(end).encode()).decode()
    return answer
