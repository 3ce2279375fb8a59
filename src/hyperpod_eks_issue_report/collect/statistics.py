"""Figures over the nodes of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hyperpod_eks_issue_report.model import NodeResult, Outcome, Spread, Statistics, Totals


def totals(results: Sequence[NodeResult]) -> Totals:
    """Count nodes, commands that did not end with 0, and bytes on S3."""
    succeeded = sum(r.success for r in results)
    return Totals(
        nodes=len(results),
        succeeded=succeeded,
        failed=len(results) - succeeded,
        commands_failed=sum(c.exit_code != 0 for r in results for c in r.commands),
        bytes=sum(r.s3_bytes or 0 for r in results),
    )


def statistics(
    results: Sequence[NodeResult], wall_seconds: float, max_concurrent: int
) -> Statistics:
    """The statistics of summary.json."""
    groups = sorted({r.instance_group for r in results})
    return Statistics(
        wall_seconds=round(wall_seconds, 3),
        node_seconds=_spread([r.seconds.total for r in results if r.seconds.total is not None]),
        tarball_bytes=_spread([float(r.s3_bytes) for r in results if r.s3_bytes]),
        success_rate=round(sum(r.success for r in results) / len(results), 4) if results else 0.0,
        by_instance_group={
            g: totals([r for r in results if r.instance_group == g]) for g in groups
        },
        failures_by_error=dict(
            Counter(r.failure.error for r in results if r.failure).most_common()
        ),
        uploads_by_way=dict(Counter(r.upload_via for r in results if r.upload_via).most_common()),
        max_concurrent_sessions=max_concurrent,
    )


def outcome(results: Sequence[NodeResult], *, interrupted: bool) -> Outcome:
    """How the run ended as a whole."""
    if interrupted:
        return Outcome.INTERRUPTED
    succeeded = sum(r.success for r in results)
    if succeeded == len(results):
        return Outcome.ALL_SUCCEEDED
    return Outcome.SOME_FAILED if succeeded else Outcome.ALL_FAILED


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)

    return Spread(min=round(ordered[0], 3), median=at(0.5), p95=at(0.95), max=round(ordered[-1], 3))
