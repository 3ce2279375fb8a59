"""The catalogue of what is collected unasked."""

from __future__ import annotations

import subprocess

import pytest

from hyperpod_eks_issue_report.catalog import default_tasks, load
from hyperpod_eks_issue_report.errors import UsageError

from .conftest import need

RECORD = "- id: disk\n  title: Space\n  command: df -h\n"


def test_default_tasks_are_sound() -> None:
    tasks = default_tasks()
    assert tasks
    assert len({t.id for t in tasks}) == len(tasks)
    for task in tasks:
        assert task.file == f"probes/{task.id}.txt"
        assert task.title
        assert task.timeout > 0
        assert set(task.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_default_commands_are_bash() -> None:
    for task in default_tasks():
        subprocess.run([need("bash"), "-n", "-c", "--", task.command], check=True)


def test_record() -> None:
    (task,) = load(RECORD, "mine.yaml")
    assert (task.id, task.command, task.title) == ("disk", "df -h", "Space")
    assert (task.file, task.timeout) == ("probes/disk.txt", 30)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (RECORD.replace("title", "titel"), "titel"),
        (RECORD.replace("  command: df -h\n", ""), "command"),
        (RECORD + "  timeout: soon\n", "timeout"),
        (RECORD + "  command: [\n", ""),
        ("id: disk\n", "array"),
    ],
    ids=["unknown", "missing", "type", "no-yaml", "no-list"],
)
def test_mistakes_name_source_and_field(text: str, field: str) -> None:
    with pytest.raises(UsageError, match=r"^mine\.yaml is no catalogue: ") as caught:
        load(text, "mine.yaml")
    assert field in str(caught.value)
    assert "docs/recipes.md" in caught.value.hint
