"""A node for the bootstrap and the collector script: private programs, a private work directory
and a small S3 on the loopback interface.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hyperpod_eks_issue_report.model import Plan
from hyperpod_eks_issue_report.script.generate import (
    Delivery,
    bootstrap_argv,
    generate_script,
    user_tasks,
)
from hyperpod_eks_issue_report.script.lines import AnyRecord, Failed, NodeLines, R, TaskFinished

TOOLS = (
    *("base64", "bash", "cat", "cp", "date", "env", "grep", "gzip", "head", "locale", "md5sum"),
    *("mkdir", "mktemp", "printf", "rm", "sed", "sh", "sha256sum", "sleep", "stat", "tail"),
    *("tar", "timeout", "tr", "uname", "wc"),
)
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WORKPLACES = "/var/tmp /tmp /dev/shm"


def need(program: str) -> str:
    """Where a program is. Without it CI fails; elsewhere the test is skipped."""
    beside = Path(sys.executable).parent / program
    path = str(beside) if beside.exists() else shutil.which(program)
    if path is None:
        reason = f"needs {program}, which is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@dataclass
class Store:
    """What the server serves, answers and was given."""

    script: bytes = b""
    signature: str = field(default_factory=lambda: secrets.token_hex(24))
    get_status: int = 200
    put_status: int = 200
    body: bytes | None = None
    content_md5: str | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    def refusal(self, status: int) -> bytes:
        """What S3 says; to a wrong signature it quotes the signature."""
        code, message = {
            403: ("AccessDenied", "Access Denied"),
            404: ("NoSuchKey", "The specified key does not exist."),
        }[status]
        return (
            f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message>'
            f"<StringToSign>{self.signature}</StringToSign></Error>"
        ).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, store: Store) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = store


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"  # answers curl's Expect: 100-continue at once

    def do_GET(self) -> None:
        store = self.server.store
        store.asked.set()
        store.go_on.wait()
        self._answer(store.get_status, store.script)

    def do_PUT(self) -> None:
        store = self.server.store
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if store.put_status == 200:
            store.body, store.content_md5 = body, self.headers["Content-MD5"]
        self._answer(store.put_status, b"")

    def _answer(self, status: int, body: bytes) -> None:
        data = body if status == 200 else self.server.store.refusal(status)
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except ConnectionError:
            pass  # the node was stopped

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@dataclass
class Outcome:
    """One bootstrap's life."""

    returncode: int
    stdout: bytes
    stderr: bytes
    lines: NodeLines
    records: list[AnyRecord]
    tarball: bytes | None
    left: list[str]

    def only(self, kind: type[R]) -> R:
        (record,) = [r for r in self.records if isinstance(r, kind)]
        return record

    def failure(self) -> tuple[str, str, str]:
        failed = self.only(Failed)
        return failed.stage, failed.reason, failed.detail

    def finished(self) -> list[TaskFinished]:
        return [r for r in self.records if isinstance(r, TaskFinished)]

    def members(self) -> dict[str, bytes]:
        """The tarball's files."""
        assert self.tarball is not None
        found: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(self.tarball)) as archive:
            for member in archive:
                if (file := archive.extractfile(member)) is not None:
                    found[member.name] = file.read()
        return found

    def outputs(self) -> list[bytes]:
        """What the user's commands wrote, without the lines around it."""
        files = sorted((n, b) for n, b in self.members().items() if n.startswith("command_"))
        return [body.split(b"\n", 2)[2].rpartition(b"# exit code: ")[0] for _, body in files]


class Node:
    """Runs bootstraps as the agent would."""

    def __init__(self, root: Path, server: _Server) -> None:
        self.store = server.store
        self.work = root / "work"
        self.bin = root / "bin"
        self.bucket = root / "bucket"
        for directory in (self.work, self.bin, self.bucket):
            directory.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(need(tool))
        self._url = f"http://127.0.0.1:{server.server_port}"

    def install_curl(self) -> None:
        (self.bin / "curl").symlink_to(need("curl"))

    def install_aws(self, *, put: bool = True) -> None:
        """An AWS CLI with a role that may read the bucket and, with `put`, write to it."""
        bucket = shlex.quote(str(self.bucket))
        refuse = 'echo "upload failed: An error occurred (AccessDenied)" >&2; exit 1'
        store = f'cp "$3" {bucket}/result'
        stub = self.bin / "aws"
        stub.write_text(
            "#!/bin/sh\n"
            f'case "$3" in s3://*) cp {bucket}/script "$4" ;; *) {store if put else refuse} ;; '
            "esac\n"
        )
        stub.chmod(0o755)

    def load(self, plan: Plan, before_pack: str = "") -> None:
        """Put the plan's script where the node fetches it."""
        self.store.script = generate_script(plan, before_pack).encode()
        (self.bucket / "script").write_bytes(self.store.script)

    def delivery(self) -> Delivery:
        query = f"?X-Amz-Signature={self.store.signature}"
        return Delivery(
            bucket="bucket",
            region="us-west-2",
            script_key="run/collect.sh",
            script_sha256=hashlib.sha256(self.store.script).hexdigest(),
            script_bytes=len(self.store.script),
            result_key="run/node.tar.gz",
            script_url=f"{self._url}/collect.sh{query}",
            upload_url=f"{self._url}/node.tar.gz{query}",
        )

    def argv(self) -> list[str]:
        """The session's command, with this node's directories instead of the system's."""
        *first, last = bootstrap_argv(self.delivery())
        found = re.search(r"%s (\S+) ", last)
        assert found is not None
        text = base64.b64decode(found[1]).decode()
        for old, new in ((_SYSTEM_PATH, self.bin), (_WORKPLACES, self.work)):
            assert text.count(old) >= 1
            text = text.replace(old, str(new))
        return [*first, last.replace(found[1], base64.b64encode(text.encode()).decode())]

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.argv(),
            executable=str(self.bin / "bash"),
            env={"PATH": str(self.bin), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def wait(self, process: subprocess.Popen[bytes]) -> Outcome:
        stdout, stderr = process.communicate()
        lines = NodeLines()
        records = lines.feed(stdout)
        stored = self.bucket / "result"
        return Outcome(
            returncode=process.returncode,
            stdout=stdout,
            stderr=stderr,
            lines=lines,
            records=records,
            tarball=stored.read_bytes() if stored.exists() else self.store.body,
            left=[path.name for path in self.work.iterdir()] if self.work.exists() else [],
        )

    def run(self, **env: str) -> Outcome:
        return self.wait(self.start(**env))

    def run_commands(self, commands: Sequence[str], timeout: int = 60, **env: str) -> Outcome:
        self.load(Plan(tasks=user_tasks(commands, timeout)))
        return self.run(**env)


@pytest.fixture
def bare_node(tmp_path: Path) -> Iterator[Node]:
    """A node with neither curl nor the AWS CLI."""
    server = _Server(Store())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        node = Node(tmp_path, server)
        node.load(Plan(tasks=user_tasks(["echo hello"])))
        yield node
    finally:
        server.store.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def node(bare_node: Node) -> Node:
    """A node with curl."""
    bare_node.install_curl()
    return bare_node
