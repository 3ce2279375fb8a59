"""What is collected without being asked for, as data: `default.yaml`.

To add a probe, add a record there: `id` (its file is `probes/<id>.txt`), `title`, `command` (bash)
and optionally `timeout` in seconds.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from hyperpod_eks_issue_report.errors import UsageError
from hyperpod_eks_issue_report.model import Task


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record of the catalogue."""

    id: str
    title: str
    command: str
    timeout: int = 30


def load(text: str, source: str) -> tuple[Task, ...]:
    """Read a catalogue file.

    Raises:
        UsageError: a mistake; says where and what was expected.
    """
    try:
        probes = msgspec.yaml.decode(text, type=list[Probe])
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{source} is no catalogue: {error}", hint="docs/recipes.md shows a record."
        ) from error
    return tuple(
        Task(
            id=p.id, command=p.command, file=f"probes/{p.id}.txt", timeout=p.timeout, title=p.title
        )
        for p in probes
    )


@cache
def default_tasks() -> tuple[Task, ...]:
    """The probes that run without being asked for."""
    text = files(__package__).joinpath("default.yaml").read_text(encoding="utf-8")
    return load(text, "catalog/default.yaml")
