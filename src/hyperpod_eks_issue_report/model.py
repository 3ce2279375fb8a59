"""The records of the domain: cluster, nodes, plan, results and the summary of a run.

All are frozen `msgspec` structs: they encode to JSON as they stand, and `summary_schema()` is the
JSON Schema of `summary.json`. Fields are only ever added; `SCHEMA_VERSION` changes when the meaning
of one does.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

#: Version of the shape of summary.json: major.minor; minor grows when a field is added.
SCHEMA_VERSION = "1.0"

#: SageMaker's node status of a node that takes work (ListClusterNodes, InstanceStatus.Status).
RUNNING = "Running"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node as SageMaker's ListClusterNodes tells it.

    `instance_id` is empty for a node of a Continuous cluster that has no instance yet; it then has
    a `logical_id` only and cannot be reached.
    """

    instance_id: str
    instance_group: str
    instance_type: str = ""
    status: str = ""
    status_message: str = ""
    logical_id: str = ""
    private_dns: str = ""
    launch_time: datetime | None = None

    @property
    def name(self) -> str:
        """The name used in file names and on screens: group and instance (or logical) id."""
        return f"{self.instance_group}_{self.instance_id or self.logical_id}"

    @property
    def eks_name(self) -> str:
        """The Kubernetes node name HyperPod gives the instance."""
        return f"hyperpod-{self.instance_id}"

    @property
    def is_running(self) -> bool:
        return self.status == RUNNING


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """One HyperPod cluster as DescribeCluster tells it."""

    name: str
    arn: str
    cluster_id: str
    status: str = ""
    orchestrator: str = ""
    eks_cluster_arn: str = ""
    node_recovery: str = ""
    node_provisioning_mode: str = ""
    instance_groups: tuple[str, ...] = ()

    def target(self, node: Node) -> str:
        """The node's Session Manager target: built, never parsed, as group names hold hyphens."""
        return f"sagemaker-cluster:{self.cluster_id}_{node.instance_group}-{node.instance_id}"


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which nodes the user asked for; empty means all."""

    instance_groups: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the collector runs on a node: a user's command or a probe of the catalogue.

    `command` is bash text, run by `bash -c` in a process of its own. `timeout` is in seconds.
    `file` is its place inside the tarball.
    """

    id: str
    command: str
    file: str
    timeout: int = 60
    title: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What every node is asked to do."""

    tasks: tuple[Task, ...]


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one task ended on one node. `exit_code` is None when it did not report its end."""

    id: str
    file: str
    exit_code: int | None = None
    seconds: float | None = None
    bytes: int | None = None
    timed_out: bool = False


class StageSeconds(msgspec.Struct, frozen=True, kw_only=True):
    """Where a node's time went, in seconds on the user's clock; None: the stage was not reached."""

    waiting: float | None = None
    connecting: float | None = None
    fetching: float | None = None
    collecting: float | None = None
    uploading: float | None = None
    verifying: float | None = None
    total: float | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a node failed: a stable error class, a sentence, and what to do next."""

    error: str
    message: str
    hint: str = ""


class NodeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one node."""

    instance_id: str
    instance_group: str
    instance_type: str = ""
    logical_id: str = ""
    sagemaker_status: str = ""
    sagemaker_message: str = ""
    success: bool = False
    failure: Failure | None = None
    session_complete: bool = False
    script_via: str | None = None
    upload_via: str | None = None
    s3_key: str | None = None
    s3_bytes: int | None = None
    tarball_bytes: int | None = None
    tarball_sha256: str | None = None
    verified_by: str | None = None
    exit_code: int | None = None
    agent_version: str = ""
    session_id: str = ""
    seconds: StageSeconds = msgspec.field(default_factory=StageSeconds)
    commands: tuple[CommandResult, ...] = ()
    session_log: tuple[str, ...] = ()
    extra: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.instance_group}_{self.instance_id or self.logical_id}"


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over the selected nodes; `bytes` is what S3 holds of them."""

    nodes: int = 0
    succeeded: int = 0
    failed: int = 0
    commands_failed: int = 0
    bytes: int = 0


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Minimum, median, 95th percentile and maximum of one figure."""

    min: float
    median: float
    p95: float
    max: float


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Figures over the nodes of a run; None where no node has the figure."""

    wall_seconds: float = 0.0
    node_seconds: Spread | None = None
    tarball_bytes: Spread | None = None
    success_rate: float = 0.0
    by_instance_group: dict[str, Totals] = msgspec.field(default_factory=dict)
    failures_by_error: dict[str, int] = msgspec.field(default_factory=dict)
    uploads_by_way: dict[str, int] = msgspec.field(default_factory=dict)
    max_concurrent_sessions: int = 0


class ClusterReference(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    id: str
    arn: str = ""
    status: str = ""
    orchestrator: str = ""


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    tool: str
    python: str
    boto3: str
    platform: str


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where the run's objects are on S3."""

    bucket: str
    prefix: str
    region: str
    script_key: str
    summary_key: str


class Outcome(StrEnum):
    """How a run ended as a whole."""

    ALL_SUCCEEDED = "all-succeeded"
    SOME_FAILED = "some-failed"
    ALL_FAILED = "all-failed"
    INTERRUPTED = "interrupted"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """summary.json: what a run did, node by node."""

    schema_version: str = SCHEMA_VERSION
    report_id: str
    outcome: Outcome
    cluster: ClusterReference
    started: datetime
    ended: datetime
    versions: Versions
    location: Location
    selection: Selection
    plan: Plan
    script_sha256: str
    max_workers: int
    totals: Totals
    statistics: Statistics
    nodes: tuple[NodeResult, ...]
    extra: dict[str, Any] = msgspec.field(default_factory=dict)

    def to_json(self) -> bytes:
        """Encode for people and programs alike: indented UTF-8 JSON with a final newline."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def summary_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of summary.json, made from the records above."""
    schema = msgspec.json.schema(Summary)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "summary.json of HyperPod EKS Issue Report"
    return schema
