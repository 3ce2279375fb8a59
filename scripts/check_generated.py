"""Runs shellcheck over what the generator makes: a script with awkward commands, a bootstrap."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

from hyperpod_eks_issue_report.catalog import default_tasks
from hyperpod_eks_issue_report.model import Plan
from hyperpod_eks_issue_report.script.generate import (
    Delivery,
    bootstrap_argv,
    generate_script,
    user_tasks,
)

AWKWARD = ["a; b", 'echo "it\'s"', "echo $HOME", "line 1\nline 2", 'echo "unbalanced', "echo ü"]


def texts() -> list[str]:
    """The generated shell texts."""
    plan = Plan(tasks=(*default_tasks(), *user_tasks(AWKWARD)))
    argv = bootstrap_argv(
        Delivery(
            bucket="bucket",
            region="us-west-2",
            script_key="prefix/script.sh",
            script_sha256="0" * 64,
            script_bytes=1,
            result_key="prefix/result.tar.gz",
            script_url="https://example.invalid/get?a=1&b=2",
            upload_url="https://example.invalid/put?a=1&b=2",
        )
    )
    encoded = re.search(r"[A-Za-z0-9+/=]{200,}", argv[2])
    assert encoded is not None
    return [generate_script(plan), base64.b64decode(encoded.group()).decode()]


def main() -> int:
    """The worst exit code of shellcheck."""
    shellcheck = Path(sys.executable).with_name("shellcheck")
    return max(
        subprocess.run(
            [shellcheck, "-s", "bash", "-S", "warning", "-"], input=text, text=True, check=False
        ).returncode
        for text in texts()
    )


if __name__ == "__main__":
    sys.exit(main())
