"""The shell that goes to nodes, as shellcheck sees it."""

from __future__ import annotations

import base64
import re
import subprocess
from importlib.resources import files

import pytest

from hyperpod_eks_issue_report.catalog import default_tasks
from hyperpod_eks_issue_report.model import Plan
from hyperpod_eks_issue_report.script.generate import bootstrap_argv, generate_script, user_tasks

from .conftest import need
from .test_generate import DELIVERY


# SC2329: a function that only traps or hpir_await call, by its name, looks unused.
def shellcheck(text: str, *options: str) -> None:
    done = subprocess.run(
        [need("shellcheck"), "--shell=bash", *options, "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["wire.sh", "transfer.sh", "bootstrap.sh", "runtime.sh"])
def test_parts(name: str) -> None:
    text = files("hyperpod_eks_issue_report.script").joinpath(name).read_text(encoding="utf-8")
    # What a part sets for another one, or has from it, is seen in the whole scripts below.
    shellcheck(text, "--exclude=SC2034,SC2153,SC2154")


def test_generated_script() -> None:
    tasks = (*default_tasks(), *user_tasks(["echo 'a b'; echo \"c\n", "-n", "$(x)"]))
    # Quoted text that looks like an expression is meant to be carried as it is.
    shellcheck(generate_script(Plan(tasks=tasks), before_pack="echo $x"), "--exclude=SC2016,SC2329")


def test_bootstrap() -> None:
    found = re.search(r"%s (\S+) ", bootstrap_argv(DELIVERY)[2])
    assert found is not None
    shellcheck(base64.b64decode(found[1]).decode(), "--exclude=SC2329")
