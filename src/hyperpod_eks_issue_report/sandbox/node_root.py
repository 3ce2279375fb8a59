"""One node's own root: a directory, and the namespaces in which its processes see only that.

A small init per node holds the namespaces; every session enters them with nsenter (a few ms).
Where the machine allows neither root nor user namespaces, isolation is PATH and TMPDIR only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .node_files import write_node_files
from .world import Node

PROGRAMS = Path(__file__).parent / "programs"
NODE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NodeError(Exception):
    """The node's root could not be built; the text is what the machine said."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What this machine allows. `unshare` and `nsenter` are option lists."""

    strong: bool
    unshare: tuple[str, ...] = ()
    nsenter: tuple[str, ...] = ()


@cache
def isolation() -> Isolation:
    """Try the strong ways once: as root, then through an unprivileged user namespace."""
    ways = [Isolation(True, ("-m", "-u"), ("-m", "-u"))]
    if os.geteuid() != 0:
        ways = [Isolation(True, ("-U", "-r", "-m", "-u"), ("-U", "-m", "-u", "-S0", "-G0"))]
    for way in ways:
        command = ["unshare", *way.unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        with contextlib.suppress(OSError):
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return way
    return Isolation(False)


class NodeRoot:
    """The place where one node's processes run."""

    def __init__(self, node: Node, directory: Path, s3_url: str, region: str) -> None:
        self.directory = directory
        self._node = node
        self._s3_url = s3_url
        self._region = region
        self._lock = asyncio.Lock()
        self._init: asyncio.subprocess.Process | None = None
        self._built_for: object = None

    async def command(self, argv: list[str]) -> list[str]:
        """The command line that runs `argv` on the node, exec all the way (no extra process)."""
        await self._ensure()
        if self._init is None:
            return argv
        return [
            "nsenter", "-t", str(self._init.pid), *isolation().nsenter, "-r", "-w", "--", *argv
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """What the agent gives a process: no HOME (ContainerMode), TERM, LANG."""
        common = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
        if isolation().strong:
            return common | {"PATH": NODE_PATH}
        local = self.directory / ".local/bin"
        return common | {
            "PATH": f"{local}:{NODE_PATH}",
            "TMPDIR": str(self.directory / "tmp"),
            "SANDBOX_NODE": str(local / "../etc/node.sh"),
        }

    def finds(self, program: str) -> bool:
        """Whether exec would find the program on the node."""
        root = f"/proc/{self._init.pid}/root" if self._init is not None else ""
        if "/" in program:
            return os.path.lexists(f"{root}{program}")
        path = self.environment()["PATH"].split(":")
        return any(os.path.lexists(f"{root}{folder}/{program}") for folder in path)

    async def _ensure(self) -> None:
        async with self._lock:
            settings = self._node.settings
            if self._built_for == settings:
                return
            await self._stop_init()
            write_node_files(self._node, self.directory, self._s3_url, self._region)
            if isolation().strong:
                await self._start_init()
            self._fill_tmp()
            self._built_for = settings

    async def _start_init(self) -> None:
        settings = self._node.settings
        size = settings.tmp_megabytes or (1 if settings.tmp_full else 0)
        init = await asyncio.create_subprocess_exec(
            "unshare", *isolation().unshare, "bash", str(PROGRAMS / "node-init.sh"),
            str(self.directory), self._node.identity.hostname, str(size), *settings.missing,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        if init.stdout is None or init.stderr is None:
            raise NodeError("the node's init has no pipes")
        if (await init.stdout.readline()).strip() != b"ready":
            said = (await init.stderr.read()).decode(errors="replace").strip()
            await init.wait()
            raise NodeError(f"cannot build the node's root: {said}")
        self._init = init

    def _fill_tmp(self) -> None:
        """A full /tmp is a tmpfs with no byte left."""
        if not self._node.settings.tmp_full or self._init is None:
            return
        filler = Path(f"/proc/{self._init.pid}/root/tmp/core.4711")
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))

    async def _stop_init(self) -> None:
        init, self._init = self._init, None
        if init is None:
            return
        with contextlib.suppress(ProcessLookupError):
            init.kill()
        await init.wait()

    async def close(self) -> None:
        """End the init; `leftovers.kill_leftovers` ends what still runs in its namespaces."""
        await self._stop_init()

    def remove(self) -> None:
        """Delete the directory."""
        shutil.rmtree(self.directory, ignore_errors=True)
