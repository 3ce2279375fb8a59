"""Whole runs of the library on the simulated cluster: real bash, real S3 API, real protocol."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import jsonschema  # type: ignore[import-untyped]
import pytest

from hyperpod_eks_issue_report import HyperPodEKSIssueReportCollector
from hyperpod_eks_issue_report.events import Event, NodeStarted
from hyperpod_eks_issue_report.model import Node, NodeResult, Summary, summary_schema
from hyperpod_eks_issue_report.sandbox.scenario import make_scenario
from hyperpod_eks_issue_report.sandbox.server import Sandbox
from hyperpod_eks_issue_report.script.generate import generate_script

GROUPS = [
    {"name": "gpu-workers", "instance_type": "ml.p5.48xlarge", "count": 3},
    {"name": "cpu", "instance_type": "ml.m5.4xlarge", "count": 1},
]


@contextmanager
def cluster(
    monkeypatch: pytest.MonkeyPatch, *, tls: bool = False, **scenario: Any
) -> Iterator[Sandbox]:
    raw = {"groups": GROUPS, "ssm": {"start_session_rate": 0}, **scenario}
    with Sandbox(make_scenario(raw), tls=tls) as sandbox:
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield sandbox
        assert sandbox.mistakes == []


def collect(sandbox: Sandbox, **options: Any) -> Summary:
    with HyperPodEKSIssueReportCollector(
        sandbox.cluster_name, sandbox.bucket, **options
    ) as collector:
        summary = collector.collect_reports()
        collector.save_summary(summary)
    return summary


def members(sandbox: Sandbox, result: NodeResult) -> dict[str, bytes]:
    assert result.s3_key is not None
    body = boto3.client("s3").get_object(Bucket=sandbox.bucket, Key=result.s3_key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {m.name: file.read() for m in tar if (file := tar.extractfile(m)) is not None}


@pytest.mark.parametrize("tls", [False, True])
def test_every_node_delivers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: bool) -> None:
    awkward = [
        "echo a; echo b",
        'echo "it\'s"',
        'echo "$HOME"',
        'echo "unbalanced',
        "echo ü\nexit 3",
    ]
    with cluster(monkeypatch, tls=tls) as sandbox:
        summary = collect(sandbox, commands=awkward, output_dir=tmp_path)
        assert summary.outcome == "all-succeeded"
        assert all(r.success and r.session_complete and r.exit_code == 0 for r in summary.nodes)
        files = members(sandbox, summary.nodes[0])
        stored = (
            boto3.client("s3")
            .get_object(Bucket=sandbox.bucket, Key=summary.location.summary_key)["Body"]
            .read()
        )
    texts = [v.decode() for k, v in sorted(files.items()) if k.startswith("command_")]
    bodies = [t.split("\n", 1)[1].split("\n", 1)[1] for t in texts]
    assert bodies[0] == "a\nb\n# exit code: 0\n"
    assert bodies[1] == "it's\n# exit code: 0\n"
    assert bodies[2] == "/root\n# exit code: 0\n"
    assert bodies[3].endswith("# exit code: 2\n")
    assert bodies[4] == "ü\n# exit code: 3\n"
    assert {"hostname.txt", "timestamp.txt", "probes/nvidia-smi.txt"} <= files.keys()
    assert stored == next(tmp_path.rglob("summary.json")).read_bytes()
    jsonschema.validate(json.loads(stored), summary_schema())


def test_a_node_that_fails_never_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [
        {"index": 0, "set": {"connected": False, "status": "Failure", "message": "sick"}},
        {"index": 1, "set": {"missing": ["curl", "aws"]}},
        {"index": 2, "set": {"answer": {"stdout": "garbage\nfrom a node", "exit_code": 0}}},
    ]
    with cluster(monkeypatch, nodes=rules) as sandbox:
        summary = collect(sandbox)
    assert summary.outcome == "some-failed"
    failed = {r.failure.error: r for r in summary.nodes if r.failure is not None}
    assert failed.keys() == {"TargetNotConnected", "NoTransferTool", "IncompleteOutput"}
    assert failed["TargetNotConnected"].sagemaker_message == "sick"
    assert "garbage" in failed["IncompleteOutput"].session_log
    assert all(r.failure.hint for r in failed.values() if r.failure)
    assert summary.totals.succeeded == 1


def test_the_way_of_transfer_is_decided_on_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(monkeypatch, nodes=[{"index": 0, "set": {"s3_access": True}}]) as sandbox:
        summary = collect(sandbox)
    ways = {r.instance_id: (r.script_via, r.upload_via) for r in summary.nodes}
    assert summary.outcome == "all-succeeded"
    assert list(ways.values()).count(("node-role", "node-role")) == 1
    assert list(ways.values()).count(("presigned-url", "presigned-url")) == 3


def test_a_pause_that_truncates_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = {"index": 0, "set": {"agent": {"pause_after_bytes": 200, "lie_exit_code": 0}}}
    with cluster(monkeypatch, nodes=[rule]) as sandbox:
        summary = collect(sandbox, nodes=[sandbox.nodes[0].instance_id])
    (result,) = summary.nodes
    assert not result.session_complete
    assert result.success == (result.tarball_sha256 is not None)


def test_ten_megabytes_of_output_arrive_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(monkeypatch) as sandbox:
        summary = collect(
            sandbox, instance_groups=["CPU"], commands=["head -c 10000000 /dev/zero | tr '\\0' x"]
        )
        (result,) = summary.nodes
        (body,) = [v for k, v in members(sandbox, result).items() if k.startswith("command_01")]
    assert body.count(b"x") >= 10_000_000


def test_it_works_where_an_event_loop_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def notebook(sandbox: Sandbox) -> Summary:
        return collect(sandbox)

    with cluster(monkeypatch) as sandbox:
        assert asyncio.run(notebook(sandbox)).outcome == "all-succeeded"


def test_people_subclass_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Event] = []

    class Mine(HyperPodEKSIssueReportCollector):
        def generate_collector_script(self) -> str:
            return generate_script(self.plan, before_pack="echo mine >mine.txt")

        def execute_collection_on_node(self, node: Node) -> NodeResult:
            if node.instance_group == "cpu":
                raise RuntimeError("not this one")
            return super().execute_collection_on_node(node)

        def save_summary(self, summary: Summary) -> str:
            return f"{summary.totals.succeeded} of {summary.totals.nodes}"

    with cluster(monkeypatch) as sandbox:
        with Mine(sandbox.cluster_name, sandbox.bucket, on_event=seen.append) as collector:
            summary = collector.collect_reports()
            told = collector.save_summary(summary)
        files = members(sandbox, next(r for r in summary.nodes if r.success))
    assert told == "3 of 4"
    assert files["mine.txt"] == b"mine\n"
    assert [r.failure.error for r in summary.nodes if r.failure] == ["RuntimeError"]
    assert sum(isinstance(e, NodeStarted) for e in seen) == 3


def test_the_public_methods_are_six() -> None:
    public = {n for n in vars(HyperPodEKSIssueReportCollector) if not n.startswith("_")}
    assert public == {
        "get_cluster_nodes",
        "generate_collector_script",
        "upload_collector_script",
        "execute_collection_on_node",
        "collect_reports",
        "save_summary",
    }
