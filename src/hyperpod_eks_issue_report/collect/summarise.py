"""Puts a run's summary together."""

from __future__ import annotations

import hashlib
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version

from hyperpod_eks_issue_report import __version__
from hyperpod_eks_issue_report.collect.fleet import FleetResult
from hyperpod_eks_issue_report.collect.statistics import outcome, statistics, totals
from hyperpod_eks_issue_report.model import (
    Cluster,
    ClusterReference,
    Location,
    Plan,
    Selection,
    Summary,
    Versions,
)


def summarise(
    fleet: FleetResult,
    *,
    report_id: str,
    cluster: Cluster,
    started: datetime,
    location: Location,
    selection: Selection,
    plan: Plan,
    script: bytes,
    max_workers: int,
    wall_seconds: float,
) -> Summary:
    """summary.json's record of a run that has ended just now."""
    return Summary(
        report_id=report_id,
        outcome=outcome(fleet.results, interrupted=fleet.interrupted),
        cluster=ClusterReference(
            name=cluster.name,
            id=cluster.cluster_id,
            arn=cluster.arn,
            status=cluster.status,
            orchestrator=cluster.orchestrator,
        ),
        started=started,
        ended=datetime.now(UTC),
        versions=Versions(
            tool=__version__,
            python=sys.version.split()[0],
            boto3=version("boto3"),
            platform=platform.platform(),
        ),
        location=location,
        selection=selection,
        plan=plan,
        script_sha256=hashlib.sha256(script).hexdigest(),
        max_workers=max_workers,
        totals=totals(fleet.results),
        statistics=statistics(fleet.results, wall_seconds, fleet.most_at_once),
        nodes=tuple(fleet.results),
    )
