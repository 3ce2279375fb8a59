"""Checks that README and docs agree with the program: options, commands, exit codes, schema."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import click

from hyperpod_eks_issue_report.cli.main import COMMANDS, cli
from hyperpod_eks_issue_report.model import summary_schema

ROOT = Path(__file__).resolve().parent.parent
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
#: Options of other programs that the pages name.
FOREIGN = {
    "--help", "--version", "--require-hashes", "--no-deps", "--output-dir", "--cluster-name",
}  # fmt: skip


def options() -> set[str]:
    """Every long option of every command."""
    found: set[str] = {"--help", "--version"}
    with click.Context(cli) as context:
        for name in COMMANDS:
            command = cli.get_command(context, name)
            if command is not None:
                found |= {o for p in command.params for o in p.opts if o.startswith("--")}
    return found


def main() -> int:
    """Print what disagrees; the number of problems is the exit code."""
    problems = []
    known = options() | FOREIGN
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for line in page.read_text(encoding="utf-8").splitlines():
            if "hyperpod-eks-issue-report" not in line and not line.lstrip().startswith("| `--"):
                continue
            unknown = set(_OPTION.findall(line)) - known
            problems += [f"{page.relative_to(ROOT)}: no such option {o}" for o in unknown]
    usage = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    missing = options() - set(_OPTION.findall(usage))
    problems += [f"docs/usage.md does not name {option}" for option in sorted(missing)]
    stored = json.loads((ROOT / "docs" / "summary.schema.json").read_text(encoding="utf-8"))
    if stored != json.loads(json.dumps(summary_schema())):
        problems.append("docs/summary.schema.json is stale: run scripts/write_schema.py")
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return len(problems)


if __name__ == "__main__":
    sys.exit(main())
