"""`sandbox`: a simulated cluster in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperpod_eks_issue_report.errors import UsageError

if TYPE_CHECKING:
    from hyperpod_eks_issue_report.sandbox.scenario import Scenario

_NEEDED = ("aiohttp", "moto", "werkzeug", "trustme")


@click.command()
@click.option("--nodes", type=click.IntRange(1, 6758), help="How many nodes (default 2).")
@click.option(
    "--groups",
    metavar="NAME=TYPE:COUNT,…",
    help="Instance groups, as in `gpu=ml.p5.48xlarge:6,cpu=ml.m5.4xlarge:2`.",
)
@click.option(
    "--scenario",
    "scenario_file",
    metavar="FILE",
    help="What the cluster is like and what goes wrong; `demo` is one that comes along.",
)
@click.option("--tls", is_flag=True, help="Serve SageMaker and SSM over https and wss.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any free port.")
@click.option(
    "--start-session-rate",
    type=click.FloatRange(0),
    help="StartSession calls a second before throttling; 0 turns it off.",
)
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the environment here as `export` lines, once ready.",
)
def sandbox(
    nodes: int | None,
    groups: str | None,
    scenario_file: str | None,
    tls: bool,
    port: int,
    start_session_rate: float | None,
    env_file: Path | None,
) -> None:
    """Run a simulated HyperPod cluster on this machine.

    It prints the environment that leads this command, boto3 and the AWS CLI to it.
    """
    _check_machine()
    from hyperpod_eks_issue_report.sandbox.server import Sandbox

    scenario = _scenario(scenario_file, nodes, groups, start_session_rate)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Sandbox(scenario, tls=tls, port=port) as running:
        text = "".join(f"export {key}={value}\n" for key, value in running.environment.items())
        if tls:
            bundle = running.environment["AWS_CA_BUNDLE"]
            text += f"# for other programs: export SSL_CERT_FILE={bundle}\n"
        click.echo(text, nl=False)
        if running.weakly_isolated:
            click.echo(
                "Warning: neither root nor user namespaces here; nodes share this machine's "
                "file system and differ in PATH and TMPDIR only.",
                err=True,
            )
        click.echo(f"{len(running.nodes)} nodes are up. Ctrl-C stops them.", err=True)
        if env_file is not None:
            _write_whole(env_file, text)
        stop.wait()
    click.echo("Stopped.", err=True)


def _check_machine() -> None:
    if not sys.platform.startswith("linux"):
        raise UsageError("The sandbox runs on Linux only: its nodes are Linux processes.")
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"The sandbox needs {', '.join(missing)}.",
            hint="Run: pip install 'hyperpod-eks-issue-report[sandbox]'",
        )


def _scenario(
    name: str | None, nodes: int | None, groups: str | None, rate: float | None
) -> Scenario:
    from hyperpod_eks_issue_report.sandbox.scenario import (
        Scenario,
        load_scenario,
        merge_scenario,
        scenario_path,
    )

    scenario = load_scenario(scenario_path(name)) if name is not None else Scenario()
    patch: dict[str, Any] = {}
    if groups is not None:
        patch["groups"] = _parse_groups(groups)
    if nodes is not None:
        if groups is not None or len(scenario.groups) != 1:
            raise UsageError("--nodes needs a cluster of one group; give counts with --groups.")
        group = scenario.groups[0]
        patch["groups"] = [
            {"name": group.name, "instance_type": group.instance_type, "count": nodes}
        ]
    if rate is not None:
        patch["ssm"] = {"start_session_rate": rate}
    return merge_scenario(scenario, patch) if patch else scenario


def _parse_groups(text: str) -> list[dict[str, Any]]:
    parsed = []
    for part in text.split(","):
        name, equals, rest = part.strip().partition("=")
        instance_type, colon, count = rest.rpartition(":")
        if not (name and equals and colon and instance_type and count.isdigit()):
            raise UsageError(f"--groups: `{part}` is not NAME=TYPE:COUNT.")
        parsed.append({"name": name, "instance_type": instance_type, "count": int(count)})
    return parsed


def _write_whole(path: Path, text: str) -> None:
    """Appear at once and complete: scripts wait for this file."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
