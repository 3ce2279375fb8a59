"""Words and numbers as people read them, shared by the screens."""

from __future__ import annotations

from hyperpod_eks_issue_report.model import NodeResult, Spread, Summary

#: Failed nodes that a closing table names; summary.json names them all.
SHOWN_FAILURES = 20


def size(count: float) -> str:
    """Bytes with a unit: 1536 → `1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration(seconds: float) -> str:
    """Seconds as `42.1 s`, `3 min 05 s` or `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"


def spread(figure: Spread | None, unit: str) -> str:
    """`median 3.1 s, 95 % under 4.0 s, most 4.2 s`; for bytes with their own unit."""
    if figure is None:
        return "none"
    show = size if unit == "bytes" else duration
    return (
        f"median {show(figure.median)}, 95 % up to {show(figure.p95)}, "
        f"between {show(figure.min)} and {show(figure.max)}"
    )


def summary_lines(summary: Summary) -> list[str]:
    """The statistics of a run in plain words."""
    totals, stats = summary.totals, summary.statistics
    lines = [
        f"Nodes       {totals.succeeded} of {totals.nodes} delivered"
        + (f", {totals.failed} failed" if totals.failed else ""),
        f"Collected   {size(totals.bytes)} on S3",
        f"Time        {duration(stats.wall_seconds)}; a node: {spread(stats.node_seconds, 's')}",
        f"Tarballs    {spread(stats.tarball_bytes, 'bytes')}",
    ]
    for group, part in stats.by_instance_group.items():
        lines.append(f"Group       {group}: {part.succeeded} of {part.nodes} delivered")
    if stats.uploads_by_way:
        ways = ", ".join(f"{way} {count}" for way, count in stats.uploads_by_way.items())
        lines.append(f"Uploaded    {ways}")
    if totals.commands_failed:
        lines.append(f"Commands    {totals.commands_failed} did not end with exit code 0")
    return lines


def failure_lines(result: NodeResult) -> list[str]:
    """Why a node failed and what to do, in at most three lines."""
    if result.failure is None:
        return []
    lines = [f"{result.name}: {result.failure.error}: {result.failure.message}"]
    if result.sagemaker_status and result.sagemaker_status != "Running":
        told = f" ({result.sagemaker_message})" if result.sagemaker_message else ""
        lines.append(f"  SageMaker says: {result.sagemaker_status}{told}")
    if result.failure.hint:
        lines.append(f"  What to do: {result.failure.hint}")
    return lines


def closing_lines(summary: Summary) -> list[str]:
    """The whole end of a run as plain text."""
    lines = ["", *summary_lines(summary)]
    failed = [r for r in summary.nodes if not r.success]
    if failed:
        lines += ["", "Failed nodes:"]
        for result in failed[:SHOWN_FAILURES]:
            lines += failure_lines(result)
        if len(failed) > SHOWN_FAILURES:
            lines.append(f"… and {len(failed) - SHOWN_FAILURES} more in summary.json")
    return lines
