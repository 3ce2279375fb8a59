"""`collect`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hyperpod_eks_issue_report.cli.options import cluster_options, set_up_logging

PROGRESS = ["auto", "rich", "plain", "jsonl", "none"]
#: Outcome of the run → exit code (docs/exit-codes.md).
EXIT_CODES = {"all-succeeded": 0, "all-failed": 1, "some-failed": 3, "interrupted": 130}


@click.command()
@cluster_options
@click.option("--s3-bucket", required=True, metavar="BUCKET", help="Where the report goes.")
@click.option(
    "--s3-prefix",
    default="hyperpod-issue-reports",
    show_default=True,
    metavar="PREFIX",
    help="In front of <cluster>/<timestamp>/.",
)
@click.option(
    "--command",
    "commands",
    multiple=True,
    metavar="CMD",
    help="Also run this bash text on every node (repeatable).",
)
@click.option(
    "--max-workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Sessions open at once (default: chosen from StartSession's rate, docs/design.md).",
)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("hyperpod-issue-reports"),
    show_default=True,
    help="Where summary.json is also saved.",
)
@click.option(
    "--progress",
    type=click.Choice(PROGRESS),
    default="auto",
    show_default=True,
    help="How to show the run; auto: rich on a terminal, else plain.",
)
@click.option(
    "--dry-run", is_flag=True, help="Show nodes and script; start nothing, write nothing."
)
def collect(
    cluster: str,
    s3_bucket: str,
    s3_prefix: str,
    commands: tuple[str, ...],
    instance_groups: tuple[str, ...],
    nodes: tuple[str, ...],
    max_workers: int | None,
    region: str | None,
    profile: str | None,
    output_dir: Path,
    progress: str,
    dry_run: bool,
    debug: bool,
) -> int:
    """Collect a report from every node of a cluster and save it on S3.

    Exit code 0: every node delivered; 3: some did not; 1: none did.
    """
    set_up_logging(debug=debug)
    # boto3 takes a third of a second to import: not for --help.
    from hyperpod_eks_issue_report.cli.screens import open_screen
    from hyperpod_eks_issue_report.collector import HyperPodEKSIssueReportCollector

    with open_screen(progress) as screen:
        collector = HyperPodEKSIssueReportCollector(
            cluster,
            s3_bucket,
            s3_prefix,
            commands=commands,
            instance_groups=instance_groups,
            nodes=nodes,
            max_workers=max_workers,
            region=region,
            profile=profile,
            output_dir=output_dir,
            on_event=screen.event,
        )
        with collector:
            if dry_run:
                return _dry_run(collector)
            summary = collector.collect_reports()
            screen.summary(summary)
            collector.save_summary(summary)
    return EXIT_CODES[summary.outcome]


def _dry_run(collector: object) -> int:
    from hyperpod_eks_issue_report.collector import HyperPodEKSIssueReportCollector

    assert isinstance(collector, HyperPodEKSIssueReportCollector)  # noqa: S101
    nodes = collector.get_cluster_nodes()
    click.echo(f"Would collect from {len(nodes)} nodes:", err=True)
    for node in nodes:
        click.echo(f"  {node.name}  {node.instance_type}  {node.status}", err=True)
    click.echo("The collector script follows on standard output.", err=True)
    sys.stdout.write(collector.generate_collector_script())
    return 0
