"""The script's way to the node, the tarball's way back, and what stays behind: nothing."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
import signal

from hyperpod_eks_issue_report.model import Plan
from hyperpod_eks_issue_report.script.generate import user_tasks
from hyperpod_eks_issue_report.script.lines import (
    Begin,
    End,
    ScriptFetched,
    Tarball,
    Uploaded,
)

from .conftest import Node


def test_presigned_urls_carry_script_and_tarball(node: Node) -> None:
    outcome = node.run()
    assert outcome.returncode == 0
    assert outcome.lines.done
    assert not outcome.lines.noise
    assert outcome.stderr == b""
    assert outcome.left == []
    assert [r.seq for r in outcome.records] == list(range(len(outcome.records)))
    assert outcome.only(Begin).uid == os.getuid()
    assert outcome.only(Begin).host == os.uname().nodename
    assert outcome.only(ScriptFetched).via == "presigned-url"
    assert outcome.only(ScriptFetched).bytes == len(node.store.script)
    assert outcome.only(Uploaded).via == "presigned-url"
    assert outcome.only(End).rc == 0


def test_tarball_is_the_one_announced(node: Node) -> None:
    outcome = node.run()
    body = outcome.tarball
    assert body is not None
    announced = outcome.only(Tarball)
    assert announced.bytes == len(body)
    assert announced.sha256 == hashlib.sha256(body).hexdigest()
    md5 = hashlib.md5(body)
    assert announced.md5 == md5.hexdigest()
    assert node.store.content_md5 == base64.b64encode(md5.digest()).decode()
    members = outcome.members()
    assert sorted(members) == [
        "command_01_echo_hello.txt",
        "commands.tsv",
        "hostname.txt",
        "timestamp.txt",
    ]
    assert members["hostname.txt"].decode().strip() == os.uname().nodename
    header, row = members["commands.tsv"].decode().splitlines()
    assert header.split("\t") == ["id", "file", "rc", "ms", "bytes", "timeout"]
    size = len(members["command_01_echo_hello.txt"])
    name, file, rc, _, count, late = row.split("\t")
    assert (name, file) == ("command_01_echo_hello", "command_01_echo_hello.txt")
    assert (rc, count, late) == ("0", str(size), "0")


def test_node_role_goes_first(node: Node) -> None:
    node.install_aws()
    outcome = node.run()
    assert outcome.returncode == 0
    assert outcome.lines.done
    assert outcome.only(ScriptFetched).via == "node-role"
    assert outcome.only(Uploaded).via == "node-role"
    assert node.store.body is None
    assert outcome.outputs() == [b"hello\n"]
    assert outcome.left == []


def test_node_role_is_enough_without_curl(bare_node: Node) -> None:
    bare_node.install_aws()
    outcome = bare_node.run()
    assert outcome.returncode == 0
    assert outcome.only(Uploaded).via == "node-role"


def test_role_that_may_only_read_falls_back_to_the_presigned_url(node: Node) -> None:
    node.install_aws(put=False)
    outcome = node.run()
    assert outcome.returncode == 0
    assert outcome.only(ScriptFetched).via == "node-role"
    assert outcome.only(Uploaded).via == "presigned-url"
    assert outcome.outputs() == [b"hello\n"]


def test_both_ways_denied(node: Node) -> None:
    node.install_aws(put=False)
    node.store.put_status = 403
    stage, reason, detail = node.run().failure()
    assert (stage, reason) == ("upload", "UploadDenied")
    assert "aws: upload failed" in detail
    assert "curl: HTTP 403 AccessDenied: Access Denied" in detail


def test_refused_download(node: Node) -> None:
    node.store.get_status = 403
    outcome = node.run()
    assert outcome.returncode == 1
    assert outcome.lines.done
    assert outcome.only(End).rc == 1
    stage, reason, detail = outcome.failure()
    assert (stage, reason) == ("fetch", "FetchDenied")
    assert "HTTP 403 AccessDenied: Access Denied" in detail
    assert "lacks aws" in detail
    assert node.store.signature.encode() not in outcome.stdout + outcome.stderr
    assert node.store.signature not in detail
    assert outcome.left == []


def test_missing_script(node: Node) -> None:
    node.store.get_status = 404
    assert node.run().failure()[:2] == ("fetch", "ScriptFetchFailed")


def test_refused_upload(node: Node) -> None:
    node.store.put_status = 403
    outcome = node.run()
    assert outcome.returncode == 1
    assert outcome.lines.done
    stage, reason, detail = outcome.failure()
    assert (stage, reason) == ("upload", "UploadDenied")
    assert node.store.signature not in detail
    assert outcome.only(Tarball).bytes > 0
    assert outcome.left == []


def test_script_that_is_not_the_uploaded_one_does_not_run(node: Node) -> None:
    argv = node.argv()
    node.store.script += b"echo changed\n"
    node.argv = lambda: argv  # type: ignore[method-assign]
    outcome = node.run()
    assert outcome.lines.done
    stage, reason, detail = outcome.failure()
    assert (stage, reason) == ("verify", "ScriptVerifyFailed")
    assert f"got {len(node.store.script)} bytes" in detail
    assert outcome.finished() == []
    assert b"changed" not in outcome.stdout
    assert outcome.left == []


def test_no_transfer_tool(bare_node: Node) -> None:
    outcome = bare_node.run()
    assert outcome.lines.done
    assert outcome.failure() == ("fetch", "NoTransferTool", "the node lacks aws and curl")
    assert outcome.left == []


def test_no_room(node: Node) -> None:
    node.work.rmdir()
    outcome = node.wait(node.start())
    assert outcome.lines.done
    assert outcome.failure()[:2] == ("stage", "NoSpace")


def test_sigterm_ends_the_running_task_and_cleans_up(node: Node) -> None:
    fifo = node.bucket / "fifo"
    os.mkfifo(fifo)
    command = f"exec 5>{shlex.quote(str(fifo))}; echo ready >&5; sleep 3600"
    node.load(Plan(tasks=user_tasks([command, "echo never"], timeout=3600)))
    process = node.start()
    with fifo.open() as running:
        assert running.readline() == "ready\n"
        assert any(node.work.iterdir())
        process.send_signal(signal.SIGTERM)
        # Ends when the last process that the task started is gone.
        assert running.read() == ""
    outcome = node.wait(process)
    assert outcome.returncode == 143
    assert outcome.left == []
    assert outcome.finished() == []
    assert outcome.lines.trailer_fits is None


def test_sigterm_during_the_download_cleans_up(node: Node) -> None:
    node.store.go_on.clear()
    process = node.start()
    node.store.asked.wait()
    process.send_signal(signal.SIGTERM)
    outcome = node.wait(process)
    assert outcome.returncode == 143
    assert outcome.left == []


def test_before_pack_runs_in_the_tree(node: Node) -> None:
    node.load(Plan(tasks=user_tasks(["echo hello"])), before_pack="-x; echo said; echo 1 >mine.txt")
    members = node.run().members()
    assert members["mine.txt"] == b"1\n"
    assert members["before_pack.txt"].endswith(b"said\n")
    assert b"-x: command not found" in members["before_pack.txt"]
