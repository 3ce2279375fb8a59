"""The simulated cluster as plain records: ids, addresses and settings, made from a seed."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from .instance_types import Gpu, gpus_of
from .scenario import Group, NodeSettings, Scenario, settings_for

#: Everything is dated from here, so that a scenario yields the same answers every time.
EPOCH = datetime(2025, 11, 3, 9, 0, tzinfo=UTC)
ZONES = (("a", "az1"), ("b", "az2"), ("c", "az3"))


@dataclass(frozen=True, slots=True)
class Identity:
    """What does not change while the sandbox runs."""

    index: int
    group: str
    instance_type: str
    instance_id: str
    logical_id: str
    ip: str
    hostname: str
    launched: datetime
    gpu: Gpu | None
    role_key: str
    image_id: str
    zone: str
    zone_id: str
    target: str


@dataclass(slots=True)
class Node:
    """One node: who it is and how it behaves at the moment."""

    identity: Identity
    settings: NodeSettings

    @property
    def instance_id(self) -> str:
        return self.identity.instance_id

    @property
    def target(self) -> str:
        """The node's Session Manager target."""
        return self.identity.target


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """One event, with its ids."""

    event_id: str
    time: datetime
    description: str
    level: str | None
    resource_type: str
    group: str | None
    instance_id: str | None
    failure_message: str | None


@dataclass(slots=True)
class World:
    """The whole cluster; `apply` takes a changed scenario over."""

    scenario: Scenario
    cluster_id: str
    nodes: list[Node] = field(default_factory=list)
    by_target: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def build(cls, scenario: Scenario) -> World:
        """Make every node of a scenario."""
        world = cls(scenario, _digest(scenario.seed, "cluster", scenario.cluster.name)[:12])
        index = 0
        for group in scenario.groups:
            for _ in range(group.count):
                identity = _identity(scenario, world.cluster_id, group, index)
                settings = settings_for(scenario, index, group.name)
                node = Node(identity, settings)
                world.nodes.append(node)
                world.by_target[identity.target] = node
                index += 1
        return world

    def apply(self, scenario: Scenario) -> None:
        """Take changed settings over; the set of nodes stays what it was."""
        self.scenario = scenario
        for node in self.nodes:
            node.settings = settings_for(scenario, node.identity.index, node.identity.group)

    @property
    def cluster_arn(self) -> str:
        cluster = self.scenario.cluster
        head = f"arn:aws:sagemaker:{cluster.region}:{cluster.account}"
        return f"{head}:cluster/{self.cluster_id}"

    def events(self) -> list[ClusterEvent]:
        """The scenario's events, newest first."""
        made = []
        for number, event in enumerate(self.scenario.events):
            node = None if event.node is None else self.nodes[event.node].identity
            digest = _digest(self.scenario.seed, "event", str(number))
            group = event.group or (node.group if node else None)
            kind = "Instance" if node else "InstanceGroup" if group else "Cluster"
            made.append(
                ClusterEvent(
                    event_id=str(uuid.UUID(digest[:32])),
                    time=EPOCH + timedelta(days=1) - timedelta(minutes=event.minutes_ago),
                    description=event.description,
                    level=event.level,
                    resource_type=kind,
                    group=group,
                    instance_id=node.instance_id if node else None,
                    failure_message=event.failure_message,
                )
            )
        return sorted(made, key=lambda event: event.time, reverse=True)


def _digest(seed: int, *parts: str) -> str:
    return hashlib.sha256("\0".join((str(seed), *parts)).encode()).hexdigest()


def _identity(scenario: Scenario, cluster_id: str, group: Group, index: int) -> Identity:
    cluster = scenario.cluster
    digest = _digest(scenario.seed, cluster.name, "node", str(index))
    # A stable /16 with one address a node: the hostname is built from the agent's address.
    ip = f"10.{1 + index // 62500}.{index // 250 % 250}.{4 + index % 250}"
    instance_id = f"i-0{digest[:16]}"
    zone, zone_id = ZONES[index % len(ZONES)]
    short = "".join(part[0] for part in cluster.region.split("-")[:2])
    return Identity(
        index=index,
        group=group.name,
        instance_type=group.instance_type,
        instance_id=instance_id,
        logical_id=f"{group.name}-{digest[16:28]}",
        ip=ip,
        hostname=f"ip-{ip.replace('.', '-')}.{cluster.region}.compute.internal",
        launched=EPOCH + timedelta(seconds=index),
        gpu=gpus_of(group.instance_type),
        role_key=f"ASIANODE{digest[:12].upper()}",
        image_id=f"ami-0{digest[28:44]}",
        zone=f"{cluster.region}{zone}",
        zone_id=f"{cluster.region.split('-')[0]}{short[1]}{cluster.region[-1]}-{zone_id}",
        target=f"sagemaker-cluster:{cluster_id}_{group.name}-{instance_id}",
    )
