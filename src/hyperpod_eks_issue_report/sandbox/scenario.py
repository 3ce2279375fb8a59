"""What a simulated cluster is like, and what goes wrong in it: YAML → checked records.

A scenario says nothing about how it is simulated. Per-node settings are rules: each rule selects
nodes (by index, by group, or all) and sets fields of `NodeSettings`; later rules win, field by
field. The same scenario always yields the same ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
import yaml

from hyperpod_eks_issue_report.errors import UsageError

_T = TypeVar("_T", bound=msgspec.Struct)

Probability: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
NodeStatus = Literal[
    "Running", "Failure", "Pending", "ShuttingDown", "SystemUpdating",
    "DeepHealthCheckInProgress", "NotFound",
]  # fmt: skip


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Base of the records: an unknown field is an error."""


class Cluster(_Strict, frozen=True):
    """What DescribeCluster says about the cluster as a whole."""

    name: str = "sandbox"
    region: str = "us-west-2"
    account: str = "111122223333"
    status: Literal[
        "Creating", "Deleting", "Failed", "InService", "RollingBack", "SystemUpdating", "Updating"
    ] = "InService"
    failure_message: str = ""
    continuous: bool = True
    node_recovery: Literal["Automatic", "None"] = "Automatic"


class Group(_Strict, frozen=True):
    """One instance group."""

    name: str
    instance_type: str
    count: Count
    target_count: Count | None = None
    status: Literal[
        "InService", "Creating", "Updating", "Failed", "Degraded", "SystemUpdating", "Deleting"
    ] = "InService"
    flexible: bool = False


class Event(_Strict, frozen=True):
    """One entry of ListClusterEvents; `node` is a node's index."""

    description: str
    level: Literal["Info", "Warn", "Error"] | None = "Info"
    group: str | None = None
    node: Count | None = None
    minutes_ago: Seconds = 60
    failure_message: str | None = None


class Answer(_Strict, frozen=True):
    """Instead of running a process: wait for `wait_for_sessions` open sessions, then say this.

    `{instance_id}` and `{group}` are replaced in both texts. With `base64` they are base64 text.
    """

    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = 0
    base64: bool = False
    wait_for_sessions: Count = 0


class Link(_Strict, frozen=True):
    """Faults of the path between agent and client.

    `drop`, `duplicate`, `reorder`, `corrupt` and `disconnect_nth` concern the agent's frames,
    `lose_ack` the client's acknowledgements, `drop_input` its other frames. `*_nth` count from 1.
    """

    seed: int = 0
    drop: Probability = 0
    duplicate: Probability = 0
    reorder: Probability = 0
    corrupt: Probability = 0
    lose_ack: Probability = 0
    drop_input: Probability = 0
    drop_nth: tuple[int, ...] = ()
    duplicate_nth: tuple[int, ...] = ()
    reorder_nth: tuple[int, ...] = ()
    corrupt_nth: tuple[int, ...] = ()
    lose_ack_nth: tuple[int, ...] = ()
    drop_input_nth: tuple[int, ...] = ()
    disconnect_nth: tuple[int, ...] = ()
    stray_frames: bool = False


class AgentFaults(_Strict, frozen=True):
    """Misbehaviour of one node's agent."""

    silent: bool = False
    refuse: str | None = None
    start_delay: Seconds = 0
    pause_after_bytes: Count | None = None
    resume_after: Seconds | None = None
    hang_after_pause: bool = False
    lie_exit_code: int | None = None
    omit_exit_code: bool = False
    late_ack_race: bool = False
    interleave: bool = False
    terminal_wait: Seconds = 1


class NodeSettings(_Strict, frozen=True):
    """One node. Rules set these fields."""

    status: NodeStatus = "Running"
    message: str = ""
    connected: bool = True
    has_instance_id: bool = True
    capacity_type: Literal["Spot", "OnDemand"] = "OnDemand"
    missing: tuple[str, ...] = ()
    programs: dict[str, str] = {}
    files: dict[str, str] = {}
    tmp_megabytes: Count | None = None
    tmp_full: bool = False
    s3_access: bool = False
    dmesg: tuple[str, ...] = ()
    gpus_visible: Count | None = None
    gpu_error: str | None = None
    answer: Answer | None = None
    link: Link = Link()
    agent: AgentFaults = AgentFaults()


class Rule(_Strict, frozen=True):
    """`set` for the nodes that `index` (one or a list) and `group` select; neither means all."""

    set: dict[str, Any]
    index: int | tuple[int, ...] | None = None
    group: str | None = None

    def selects(self, index: int, group: str) -> bool:
        """Whether the node falls under this rule."""
        wanted = (self.index,) if isinstance(self.index, int) else self.index
        return (wanted is None or index in wanted) and self.group in (None, group)


class Ssm(_Strict, frozen=True):
    """Session Manager as a service."""

    start_session_rate: Seconds = 3
    token_seconds: Seconds = 60
    idle_seconds: Seconds = 1200
    max_session_seconds: Seconds = 0
    max_packets_per_second: Count = 0
    pause_on_disconnect: bool = False
    kms_key: str | None = None
    start_publication: bool = False
    missing_documents: tuple[str, ...] = ()
    resume_token_empty: bool = False


class ApiFault(_Strict, frozen=True):
    """What happens to matching API calls; `times` of 0 means always.

    `action` is an IAM action such as `ssm:StartSession`, or a prefix ending in `*`.
    """

    action: str
    error: (
        Literal["AccessDenied", "ExpiredToken", "Throttling", "InternalServerError", "Unavailable"]
        | None
    ) = None
    delay: Seconds = 0
    times: Count = 0


class S3Deny(_Strict, frozen=True):
    """Refuse an S3 action (`s3:PutObject`, `s3:*`) to a kind of principal, below a prefix."""

    action: str = "s3:*"
    principal: Literal["any", "user", "presigned", "node-role"] = "any"
    prefix: str = ""


class S3Fault(_Strict, frozen=True):
    """Trouble with S3 transfers; `times` of 0 means always."""

    action: str = "s3:*"
    prefix: str = ""
    kind: Literal["slow", "drop", "error"] = "error"
    bytes_per_second: Count = 65536
    after_bytes: Count = 0
    times: Count = 0


class S3(_Strict, frozen=True):
    """The buckets: the cluster's own, one of somebody else, one in another region."""

    bucket: str = "sandbox-reports"
    foreign_bucket: str = "sandbox-somebody-elses"
    elsewhere_bucket: str = "sandbox-elsewhere"
    elsewhere_region: str = "eu-west-1"
    deny: tuple[S3Deny, ...] = ()
    faults: tuple[S3Fault, ...] = ()


class Scenario(_Strict, frozen=True):
    """A whole simulated cluster."""

    seed: int = 0
    cluster: Cluster = Cluster()
    groups: tuple[Group, ...] = (
        Group(name="gpu-workers", instance_type="ml.p5.48xlarge", count=2),
    )
    nodes: tuple[Rule, ...] = ()
    events: tuple[Event, ...] = ()
    ssm: Ssm = Ssm()
    api_faults: tuple[ApiFault, ...] = ()
    s3: S3 = S3()


class ScenarioError(UsageError):
    """The scenario cannot be used; the message names the file and the field."""


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        ScenarioError: it cannot be read, is not YAML, or a field is not what it must be.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: not YAML: {error}") from error
    return make_scenario({} if raw is None else raw, source=str(path))


def make_scenario(raw: object, *, source: str = "scenario") -> Scenario:
    """Check plain data and make it a `Scenario`."""
    scenario = _convert(raw, Scenario, source)
    names = [group.name for group in scenario.groups]
    for number, rule in enumerate(scenario.nodes):
        where = f"{source}: nodes[{number}]"
        _convert(rule.set, NodeSettings, f"{where}.set")
        if rule.group is not None and rule.group not in names:
            raise ScenarioError(f"{where}.group: no group `{rule.group}`; there are {names}")
    if len(set(names)) != len(names):
        raise ScenarioError(f"{source}: groups: names must be different, got {names}")
    return scenario


def merge_scenario(scenario: Scenario, patch: dict[str, Any]) -> Scenario:
    """Apply a change: mappings merge, `nodes` rules are added behind, everything else replaces."""
    raw = msgspec.to_builtins(scenario)
    added = patch.get("nodes", [])
    merged = deep_merge(raw, {key: value for key, value in patch.items() if key != "nodes"})
    merged["nodes"] = [*raw["nodes"], *added] if isinstance(added, list | tuple) else added
    return make_scenario(merged, source="update")


def settings_for(scenario: Scenario, index: int, group: str) -> NodeSettings:
    """Fold the rules that select a node."""
    merged: dict[str, Any] = {}
    for rule in scenario.nodes:
        if rule.selects(index, group):
            merged = deep_merge(merged, rule.set)
    return msgspec.convert(merged, NodeSettings)


def deep_merge(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Merge mappings; any other value replaces."""
    merged = dict(base)
    for key, value in patch.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = deep_merge(old, value)
        else:
            merged[key] = value
    return merged


def _convert(raw: object, kind: type[_T], source: str) -> _T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(kind))
        raise ScenarioError(
            f"{source}: {str(error).replace('`$.', '`')}",
            hint=f"Fields at the top here: {known}. docs/sandbox.md describes all of them.",
        ) from error


def scenario_path(name: str) -> Path:
    """A file of the user, or one of the scenarios that come along (`demo`)."""
    packaged = Path(__file__).parent / "scenarios" / f"{name}.yaml"
    path = Path(name)
    return packaged if not path.exists() and packaged.exists() else path
