"""`nodes`: lists the cluster's nodes as a table or JSON."""

from __future__ import annotations

import click

from hyperpod_eks_issue_report.cli.options import cluster_options, set_up_logging


@click.command()
@cluster_options
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print them.",
)
def nodes(
    cluster: str,
    instance_groups: tuple[str, ...],
    nodes: tuple[str, ...],
    region: str | None,
    profile: str | None,
    output: str,
    debug: bool,
) -> None:
    """List the nodes that `collect` would ask, in its order."""
    set_up_logging(debug=debug)
    import msgspec

    from hyperpod_eks_issue_report.aws.clients import Clients
    from hyperpod_eks_issue_report.aws.inventory import describe_cluster, list_nodes
    from hyperpod_eks_issue_report.collect.select import select
    from hyperpod_eks_issue_report.model import Selection

    clients = Clients(region, profile)
    try:
        found = select(
            describe_cluster(clients.sagemaker, cluster),
            list_nodes(clients.sagemaker, cluster),
            Selection(instance_groups=instance_groups, nodes=nodes),
        )
    finally:
        clients.close()
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    rows = [("INSTANCE GROUP", "INSTANCE ID", "TYPE", "STATUS", "MESSAGE")]
    rows += [
        (n.instance_group, n.instance_id or n.logical_id, n.instance_type, n.status, clean)
        for n in found
        if (clean := " ".join(n.status_message.split())) is not None
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        click.echo("  ".join([*cells, row[4]]).rstrip())
    click.echo(f"{len(found)} nodes.")
