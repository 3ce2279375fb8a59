"""The library's front door: six public methods over the rooms behind them.

    collector = HyperPodEKSIssueReportCollector("my-cluster", "my-bucket", commands=["uptime"])
    summary = collector.collect_reports()
    collector.save_summary(summary)

All methods are synchronous and work in a notebook whose own event loop is running. Subclass it to
replace any step: `collect_reports` calls the other methods, so an override is used.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self

from hyperpod_eks_issue_report import events
from hyperpod_eks_issue_report.aws.clients import Clients
from hyperpod_eks_issue_report.aws.inventory import describe_cluster, list_nodes
from hyperpod_eks_issue_report.aws.sessions import BotoSessions
from hyperpod_eks_issue_report.aws.storage import Bucket
from hyperpod_eks_issue_report.catalog import default_tasks
from hyperpod_eks_issue_report.collect.fleet import FleetResult, Job, run_fleet
from hyperpod_eks_issue_report.collect.layout import Layout
from hyperpod_eks_issue_report.collect.loop import LoopThread
from hyperpod_eks_issue_report.collect.node import NodeRun, NodeWork, NoInstance
from hyperpod_eks_issue_report.collect.override import SubclassJob
from hyperpod_eks_issue_report.collect.pace import Pace, PacedSessions
from hyperpod_eks_issue_report.collect.select import select
from hyperpod_eks_issue_report.collect.summarise import summarise
from hyperpod_eks_issue_report.collect.workers import default_workers, node_seconds
from hyperpod_eks_issue_report.errors import IssueReportError, UsageError
from hyperpod_eks_issue_report.model import Cluster, Node, NodeResult, Plan, Selection, Summary
from hyperpod_eks_issue_report.script.generate import (
    Delivery,
    bootstrap_argv,
    generate_script,
    user_tasks,
)
from hyperpod_eks_issue_report.ssm.session import Deadlines, run_command
from hyperpod_eks_issue_report.ssm.tls import limit_read_buffers

DEFAULT_PREFIX = "hyperpod-issue-reports"


class HyperPodEKSIssueReportCollector:
    """Collects a report from every node of one HyperPod EKS cluster.

    Args:
        cluster_name: name or ARN of the cluster.
        s3_bucket: where script, tarballs and summary go.
        s3_prefix: in front of `<cluster>/<timestamp>/…`.
        commands: bash texts to run on every node on top of the default set.
        instance_groups, nodes: which nodes; empty means all (see `collect.select`).
        max_workers: sessions open at once; None chooses (see `collect.workers`).
        region, profile: as boto3 takes them.
        output_dir: where `save_summary` also writes; None writes to S3 only.
        on_event: told everything that happens (see `events`), in a thread of the run.

    Raises:
        UsageError: an argument that cannot be.
    """

    def __init__(
        self,
        cluster_name: str,
        s3_bucket: str,
        s3_prefix: str = DEFAULT_PREFIX,
        *,
        commands: Sequence[str] = (),
        instance_groups: Sequence[str] = (),
        nodes: Sequence[str] = (),
        max_workers: int | None = None,
        region: str | None = None,
        profile: str | None = None,
        output_dir: str | Path | None = None,
        on_event: events.EventSink = events.ignore,
    ) -> None:
        if max_workers is not None and max_workers < 1:
            raise UsageError(f"max_workers must be at least 1, not {max_workers}.")
        self.cluster_name = cluster_name
        self.selection = Selection(instance_groups=tuple(instance_groups), nodes=tuple(nodes))
        self.plan = Plan(tasks=(*default_tasks(), *user_tasks(commands)))
        self.max_workers = max_workers
        self.output_dir = Path(output_dir) if output_dir is not None else None
        self.started = datetime.now(UTC)
        self.report_id = f"{self.started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._s3 = (s3_bucket, s3_prefix)
        self._aws = (region, profile)
        self._sink = on_event
        self._script: bytes | None = None
        self._stop: asyncio.Event | None = None
        self._uploaded = False

    # --- the six public methods ------------------------------------------------------------------

    def get_cluster_nodes(self) -> list[Node]:
        """The selected nodes, Running ones first.

        Raises:
            ClusterNotFoundError, NoNodesError, UsageError, CredentialsError, AccessDeniedError,
            ServiceError: as they say.
        """
        found = list_nodes(self._clients.sagemaker, self.cluster_name)
        return select(self._cluster, found, self.selection)

    def generate_collector_script(self) -> str:
        """The bash script that every node runs; an override may return any bash text."""
        return generate_script(self.plan)

    def upload_collector_script(self, script: str) -> str:
        """Put the script on S3 and remember its hash; returns its `s3://` address.

        Raises:
            BucketError, CredentialsError, ServiceError: as they say.
        """
        self._script = script.encode("utf-8", "surrogateescape")
        self._bucket.put(self._layout.script_key, self._script, "text/x-shellscript")
        self._uploaded = True
        return self._layout.uri(self._layout.script_key)

    def execute_collection_on_node(self, node: Node) -> NodeResult:
        """Run the uploaded script on one node and verify what it delivered.

        A node's failure is in the result, not an exception.

        Raises:
            UsageError: no script has been uploaded yet.
        """
        if not self._uploaded:
            raise UsageError(
                "No collector script has been uploaded for this report.",
                hint="Call upload_collector_script(generate_collector_script()) first.",
            )
        return self._loop.run(self._job(node).run(), on_interrupt=lambda: None)

    def collect_reports(self) -> Summary:
        """The whole run but saving its summary: nodes, script, all sessions, statistics.

        Ctrl-C stops the run in order: open sessions are ended, and the summary tells it.

        Raises:
            IssueReportError: nothing could be begun; never for the sake of single nodes.
        """
        begun = time.monotonic()
        nodes = self.get_cluster_nodes()
        self.upload_collector_script(self.generate_collector_script())
        workers = self.max_workers or default_workers(self.plan, len(nodes))
        self._announce(nodes, workers)
        fleet = self._loop.run(self._run_fleet(nodes, workers), on_interrupt=self._interrupt)
        summary = summarise(
            fleet,
            report_id=self.report_id,
            cluster=self._cluster,
            started=self.started,
            location=self._layout.location(self._bucket.region),
            selection=self.selection,
            plan=self.plan,
            script=self._script or b"",
            max_workers=workers,
            wall_seconds=time.monotonic() - begun,
        )
        self._sink(
            events.RunFinished(
                time=time.time(),
                outcome=summary.outcome,
                seconds=summary.statistics.wall_seconds,
                totals=summary.totals,
            )
        )
        return summary

    def save_summary(self, summary: Summary) -> str:
        """Write summary.json under `output_dir`, if there is one, and to S3.

        Returns:
            Its `s3://` address.

        Raises:
            BucketError, CredentialsError, ServiceError, UsageError: as they say; the local file,
            if asked for, has been written before S3 is tried.
        """
        body = summary.to_json()
        path = self._write_locally(body) if self.output_dir is not None else None
        key = self._layout.summary_key
        try:
            self._bucket.put(key, body, "application/json")
        except IssueReportError:
            self._sink(events.SummarySaved(time=time.time(), path=path))
            raise
        uri = self._layout.uri(key)
        self._sink(events.SummarySaved(time=time.time(), s3_uri=uri, path=path))
        return uri

    # --- putting the rooms together --------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in ("_loop", "_bucket", "_clients"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    @cached_property
    def _clients(self) -> Clients:
        return Clients(*self._aws)

    @cached_property
    def _bucket(self) -> Bucket:
        return Bucket(self._clients, self._s3[0])

    @cached_property
    def _cluster(self) -> Cluster:
        return describe_cluster(self._clients.sagemaker, self.cluster_name)

    @cached_property
    def _layout(self) -> Layout:
        return Layout(*self._s3, cluster=self._cluster.name, started=self.started)

    @cached_property
    def _loop(self) -> LoopThread:
        return LoopThread()

    @cached_property
    def _sessions(self) -> PacedSessions:
        return PacedSessions(BotoSessions(self._clients), Pace(), on_wait=self._tell_wait)

    @cached_property
    def _run_command(self) -> Callable[..., object]:
        limit_read_buffers()
        return partial(
            run_command,
            self._sessions,
            ssl_context=self._clients.ssl_context(),
            allow_plaintext=self._clients.plaintext_sessions,
            deadlines=Deadlines(total=node_seconds(self.plan)),
            reason=f"HyperPod EKS Issue Report {self.report_id}",
        )

    def _job(self, node: Node) -> Job:
        if not node.instance_id:
            return NoInstance(node, self._sink)
        key = self._layout.result_key(node)
        work = NodeWork(
            target=self._cluster.target(node),
            argv=lambda: bootstrap_argv(self._delivery(key)),
            result_key=key,
            plan=self.plan,
        )
        return NodeRun(node, work, self._run_command, self._bucket, self._sink)  # type: ignore[arg-type]

    def _delivery(self, result_key: str) -> Delivery:
        script = self._script or b""
        # A session may have to wait for its turn before the node sees the URLs.
        seconds = node_seconds(self.plan) + 3600
        return Delivery(
            bucket=self._bucket.name,
            region=self._bucket.region,
            script_key=self._layout.script_key,
            script_sha256=hashlib.sha256(script).hexdigest(),
            script_bytes=len(script),
            result_key=result_key,
            script_url=self._bucket.presigned_get(self._layout.script_key, seconds),
            upload_url=self._bucket.presigned_put(result_key, seconds),
        )

    async def _run_fleet(self, nodes: Sequence[Node], workers: int) -> FleetResult:
        self._stop = asyncio.Event()
        job: Callable[[Node], Job] = self._job
        overridden = type(self).execute_collection_on_node
        if overridden is not HyperPodEKSIssueReportCollector.execute_collection_on_node:
            job = partial(SubclassJob, self.execute_collection_on_node, self._sink)
        return await run_fleet(nodes, job, max_workers=workers, stop=self._stop)

    def _interrupt(self) -> None:
        self._sessions.close()
        if self._stop is not None:
            self._stop.set()

    def _announce(self, nodes: Sequence[Node], workers: int) -> None:
        self._sink(
            events.RunStarted(
                time=time.time(),
                report_id=self.report_id,
                cluster=self._cluster.name,
                cluster_id=self._cluster.cluster_id,
                nodes=len(nodes),
                max_workers=workers,
                destination=self._layout.uri(""),
            )
        )
        if self._bucket.region != self._clients.region:
            self._notice(
                f"Bucket {self._bucket.name} is in {self._bucket.region}, the cluster in "
                f"{self._clients.region}: uploads cross regions and cost traffic."
            )
        odd = [n for n in nodes if not n.is_running]
        if odd:
            self._notice(f"{len(odd)} of {len(nodes)} nodes are not Running; they are tried last.")

    def _notice(self, text: str) -> None:
        self._sink(events.Notice(time=time.time(), text=text))

    def _tell_wait(self, target: str, seconds: float) -> None:
        self._sink(
            events.NodeWaiting(
                time=time.time(),
                node=target.removeprefix(f"sagemaker-cluster:{self._cluster.cluster_id}_"),
                retry_in=seconds,
            )
        )

    def _write_locally(self, body: bytes) -> str:
        path = self._layout.local(self.output_dir or Path()) / "summary.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        except OSError as error:
            raise UsageError(
                f"The summary cannot be written to {path}: {error.strerror}.",
                hint="Name another place with --output-dir.",
            ) from error
        return str(path)
