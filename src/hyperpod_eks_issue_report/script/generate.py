"""Makes the collector script of a plan, and the command that brings it to a node.

Nothing a user typed is ever pasted into shell text: `shlex.quote` carries it, so it arrives as it
was typed, and a command that is no bash fails alone, in its own `bash -c`.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from hyperpod_eks_issue_report.errors import UsageError
from hyperpod_eks_issue_report.model import Plan, Task

#: StartSession takes 65,535 characters a parameter value (botocore's model); AWS's own HyperPod
#: skill notes about 64 KB for the whole command. Stay clear of both.
MAX_COMMAND = 60_000
_NAME_LENGTH = 40
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a node finds the script and leaves its tarball. The URLs are secrets."""

    bucket: str
    region: str
    script_key: str
    script_sha256: str
    script_bytes: int
    result_key: str
    script_url: str = field(repr=False)
    upload_url: str = field(repr=False)


def user_tasks(commands: Sequence[str], timeout: int = 60) -> tuple[Task, ...]:
    """The user's commands as tasks: `command_NN_<name>`, numbered from 01.

    Raises:
        UsageError: an empty command, or one that no command line can carry.
    """
    return tuple(_user_task(i, text, timeout) for i, text in enumerate(commands, start=1))


def _user_task(index: int, text: str, timeout: int) -> Task:
    if not text.strip():
        raise UsageError(
            f"Command {index} is empty.", hint="Give --command a bash command, such as 'uptime'."
        )
    _check(text, f"Command {index}")
    name = _UNSAFE.sub("_", text.strip())[:_NAME_LENGTH].strip("_.-") or "command"
    identity = f"command_{index:02d}_{name}"
    return Task(id=identity, command=text, file=f"{identity}.txt", timeout=timeout, title=text)


def _check(text: str, what: str) -> None:
    """Refuse what cannot reach a node's bash unchanged."""
    if "\0" in text:
        raise UsageError(
            f"{what} holds a NUL character, which no command line can carry.",
            hint="Remove it, or write it as an escape inside the command.",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{what} is not valid UTF-8 at character {error.start + 1}.",
            hint="Write other bytes as escapes, such as $'\\xff', inside the command.",
        ) from error


def generate_script(plan: Plan, before_pack: str = "") -> str:
    """The collector script: the fixed parts as they stand, then the table of the plan's tasks.

    Args:
        before_pack: bash text of your own, run by a process of its own in the collected tree
            before it is packed; what it prints goes to `before_pack.txt`, and files that it makes
            there go into the tarball.

    Raises:
        UsageError: `before_pack` is text that no command line can carry.
    """
    calls = [_call(t.id, t.file, t.timeout, t.command) for t in plan.tasks]
    if before_pack.strip():
        _check(before_pack, "before_pack")
        own = shlex.join(["bash", "-c", "--", before_pack])
        calls.append(f'(cd -- "$HPIR_TREE" && {own} >before_pack.txt 2>&1 </dev/null)')
    parts = [_part(name) for name in ("wire.sh", "transfer.sh", "runtime.sh")]
    return "\n".join(["#!/bin/bash", *parts, *calls, "hpir_close", ""])


def _call(identity: str, file: str, timeout: int, command: str) -> str:
    words = [identity, file, str(timeout), command]
    return "hpir_task " + " ".join(shlex.quote(word) for word in words)


def bootstrap_argv(delivery: Delivery) -> list[str]:
    """The session's command. Base64 leaves nothing for the agent's argv splitting, its document
    substitution or a terminal to change.

    Raises:
        UsageError: the command grows over what StartSession takes.
    """
    values = {
        "HPIR_BUCKET": delivery.bucket,
        "HPIR_REGION": delivery.region,
        "HPIR_SCRIPT_KEY": delivery.script_key,
        "HPIR_SCRIPT_SHA256": delivery.script_sha256,
        "HPIR_SCRIPT_BYTES": str(delivery.script_bytes),
        "HPIR_RESULT_KEY": delivery.result_key,
        "HPIR_SCRIPT_URL": delivery.script_url,
        "HPIR_UPLOAD_URL": delivery.upload_url,
    }
    head = "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
    parts = [_part(name) for name in ("wire.sh", "transfer.sh", "bootstrap.sh")]
    text = "\n".join([head, *parts])
    encoded = base64.b64encode(text.encode()).decode("ascii")
    argv = ["bash", "-c", f'eval "$(printf %s {encoded} | base64 -d)"']
    if len(shlex.join(argv)) > MAX_COMMAND:
        raise UsageError(
            "The session command is longer than Session Manager takes.",
            hint="Use a shorter --s3-prefix, or credentials with a shorter session token.",
        )
    return argv


@cache
def _part(name: str) -> str:
    """A shell file of this package without its comment lines: nodes need no commentary."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return "\n".join(lines).strip("\n") + "\n"
