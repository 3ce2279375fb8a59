"""The generated script and the session's command, as text."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hyperpod_eks_issue_report.errors import UsageError
from hyperpod_eks_issue_report.model import Plan
from hyperpod_eks_issue_report.script.generate import (
    MAX_COMMAND,
    Delivery,
    bootstrap_argv,
    generate_script,
    user_tasks,
)

from .conftest import need

_END = "hpir_close\n"
_STUB = "hpir_task() { printf '%s\\0' \"$@\"; }\n"

DELIVERY = Delivery(
    bucket="bucket",
    region="us-west-2",
    script_key="run/collect.sh",
    script_sha256="0" * 64,
    script_bytes=1,
    result_key="run/node.tar.gz",
    script_url="https://bucket.example/s?X-Amz-Signature=secret",
    upload_url="https://bucket.example/u?X-Amz-Signature=secret",
)

typed = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1).filter(str.strip)


@settings(max_examples=20, deadline=None)
@given(st.lists(typed, min_size=1, max_size=20))
@example(
    ["'", "''\"'\"", "\\", "$(exit)`", "\x01\x7f", "a\r\n", "-n", "a\nhpir_close\n", "!!", "é☃"]
)
def test_any_text_arrives_exactly(commands: list[str]) -> None:
    tasks = user_tasks(commands, timeout=7)
    fixed = generate_script(Plan(tasks=())).removesuffix(_END)
    table = generate_script(Plan(tasks=tasks)).removeprefix(fixed).removesuffix(_END)
    assert table.startswith("hpir_task ")
    done = subprocess.run(
        [need("bash"), "--norc", "--noprofile"],
        input=(_STUB + table).encode(),
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    expected = [word for t in tasks for word in (t.id, t.file, "7", t.command)]
    assert done.stdout.decode().split("\0") == [*expected, ""]
    assert [t.command for t in tasks] == commands


@given(typed)
def test_names_are_plain_and_bounded(command: str) -> None:
    (task,) = user_tasks([command])
    name = task.id.removeprefix("command_01_")
    assert name
    assert len(name) <= 40
    assert name.isascii()
    assert not set(name) & set("/ \t\n'\"$")
    assert task.file == f"{task.id}.txt"


def test_names_are_numbered() -> None:
    tasks = user_tasks(["df -h", "☃", "df -h"])
    assert [t.id for t in tasks] == ["command_01_df_-h", "command_02_command", "command_03_df_-h"]


@pytest.mark.parametrize("command", ["", " \t\n"])
def test_empty_command(command: str) -> None:
    with pytest.raises(UsageError, match="Command 2 is empty") as caught:
        user_tasks(["uptime", command])
    assert caught.value.hint


def test_nul_in_a_command() -> None:
    with pytest.raises(UsageError, match="Command 1 holds a NUL character") as caught:
        user_tasks(["a\0b"])
    assert caught.value.hint


def test_command_that_is_no_utf8() -> None:
    with pytest.raises(UsageError, match="Command 1 is not valid UTF-8 at character 6") as caught:
        user_tasks(["echo \udcff"])
    assert caught.value.hint


@pytest.mark.parametrize("text", ["echo \0", "echo \ud800"])
def test_before_pack_that_cannot_be_carried(text: str) -> None:
    with pytest.raises(UsageError, match="before_pack"):
        generate_script(Plan(tasks=()), before_pack=text)


def test_before_pack_takes_a_leading_dash_as_text() -> None:
    assert "bash -c -- '-x; y'" in generate_script(Plan(tasks=()), before_pack="-x; y")
    assert "before_pack" not in generate_script(Plan(tasks=()), before_pack=" \n")


def test_repr_hides_the_urls() -> None:
    assert "secret" not in repr(DELIVERY)
    assert "https" not in repr(DELIVERY)
    assert "run/collect.sh" in repr(DELIVERY)


def test_session_command_hides_the_urls_and_stays_below_the_limit() -> None:
    argv = bootstrap_argv(DELIVERY)
    assert argv[:2] == ["bash", "-c"]
    assert "secret" not in argv[2]
    assert argv[2].isascii()
    assert argv[2].isprintable()
    # Two URLs with a long session token each.
    token = "t" * 4096
    long = dataclasses.replace(
        DELIVERY, script_url=DELIVERY.script_url + token, upload_url=DELIVERY.upload_url + token
    )
    assert len(shlex.join(bootstrap_argv(long))) <= MAX_COMMAND


def test_session_command_over_the_limit() -> None:
    long = dataclasses.replace(DELIVERY, script_url="https://x/" + "t" * MAX_COMMAND)
    with pytest.raises(UsageError, match="longer than Session Manager takes") as caught:
        bootstrap_argv(long)
    assert "--s3-prefix" in caught.value.hint
    assert "ttt" not in str(caught.value)
