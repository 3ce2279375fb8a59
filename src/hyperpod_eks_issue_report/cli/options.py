"""Options that several commands share, and the debug log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def cluster_options(function: F) -> F:
    """`--cluster`, `--instance-group`, `--node`, `--region`, `--profile` and `--debug`."""
    for option in reversed(
        [
            click.option("--cluster", required=True, metavar="NAME", help="HyperPod cluster."),
            click.option(
                "--instance-group",
                "instance_groups",
                multiple=True,
                metavar="G",
                help="Only this instance group (repeatable; exact name, any case).",
            ),
            click.option(
                "--node",
                "nodes",
                multiple=True,
                metavar="ID",
                help="Only this node: i-…, hyperpod-i-… or logical id (repeatable).",
            ),
            click.option("--region", metavar="R", help="AWS region (default: as the AWS CLI)."),
            click.option("--profile", metavar="P", help="AWS profile (default: as the AWS CLI)."),
            click.option("--debug", is_flag=True, help="Log what happens to standard error."),
        ]
    ):
        function = option(function)
    return function


def set_up_logging(*, debug: bool) -> None:
    """Our own log to standard error. Others' logs stay quiet: botocore and websockets print
    signed URLs, tokens and frames at DEBUG."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("hyperpod_eks_issue_report")
    logger.handlers = [handler] if debug else [logging.NullHandler()]
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)
    logger.propagate = False
