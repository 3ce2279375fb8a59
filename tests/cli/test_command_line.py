"""The command line as a person types it, where no cluster is needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-m", "hyperpod_eks_issue_report"]
REQUIRED = ["--cluster", "c", "--s3-bucket", "b"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**keep, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_does_not_load_boto3() -> None:
    code = (
        "import sys\nfrom hyperpod_eks_issue_report.cli.main import main\n"
        "try: main(['collect', '--help'])\nexcept SystemExit: pass\n"
        "sys.exit('boto3' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_subcommand_collect_is_meant() -> None:
    plain = run("--s3-bucket", "b")
    named = run("collect", "--s3-bucket", "b")
    assert plain.returncode == named.returncode == 2
    assert plain.stderr == named.stderr
    assert "--cluster" in plain.stderr


def test_no_region_says_what_to_do() -> None:
    ended = run(*REQUIRED)
    assert ended.returncode == 2
    assert "No AWS region is set" in ended.stderr
    assert "What to do: Name it with --region" in ended.stderr


def test_no_credentials_says_what_to_do() -> None:
    ended = run(*REQUIRED, "--region", "us-west-2")
    assert ended.returncode == 4
    assert "No AWS credentials were found" in ended.stderr
    assert "What to do:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_profile_says_what_to_do() -> None:
    ended = run(*REQUIRED, "--profile", "nobody")
    assert ended.returncode == 2
    assert "'nobody'" in ended.stderr
    assert "aws configure list-profiles" in ended.stderr


@pytest.mark.parametrize(("command", "words"), [("  ", "Command 1 is empty"), ("\x1b", None)])
def test_a_blank_command_is_refused_before_anything_is_asked(
    command: str, words: str | None
) -> None:
    ended = run(*REQUIRED, "--command", command)
    assert ended.returncode == 2
    assert (words or "No AWS region") in ended.stderr


def test_an_unreachable_endpoint_is_no_traceback() -> None:
    ended = run(
        *REQUIRED,
        "--region",
        "us-west-2",
        AWS_ACCESS_KEY_ID="AKIAEXAMPLE",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_ENDPOINT_URL_SAGEMAKER="http://127.0.0.1:9",
        AWS_MAX_ATTEMPTS="1",
    )
    assert ended.returncode == 7
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr
