"""The console script: finds the command, and turns errors into words and exit codes."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

import click

from hyperpod_eks_issue_report import __version__
from hyperpod_eks_issue_report.errors import IssueReportError

PROGRAM = "hyperpod-eks-issue-report"
#: Command → (module, what `--help` says). The module is imported when the command is called.
COMMANDS = {
    "collect": ("collect", "Collect a report from every node (the default command)."),
    "nodes": ("nodes", "List the cluster's nodes."),
    "sandbox": ("sandbox", "Run a simulated cluster on this machine."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported on use; without a command, `collect` is meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"hyperpod_eks_issue_report.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 # narrows for the type checker
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {"--help", "-h", "--version"}
        if args and args[0] not in own and args[0] not in COMMANDS and args[0].startswith("-"):
            args = ["collect", *args]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a command, `collect` is meant: "
    "hyperpod-eks-issue-report --cluster NAME --s3-bucket BUCKET",
)
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Collect diagnostics from every node of a SageMaker HyperPod EKS cluster."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except IssueReportError as error:
        logging.getLogger(__name__).debug("the error's origin", exc_info=error)
        click.echo(f"Error: {error}", err=True)
        if error.hint:
            click.echo(f"What to do: {error.hint}", err=True)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)
