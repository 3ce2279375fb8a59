"""Finds and kills what nodes left running: a background child outlives its session, not the
sandbox. A process belongs to a node when its root directory is one of the nodes' directories, or,
under weak isolation, when its TMPDIR lies there.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def find_leftovers(nodes: Path) -> list[int]:
    """The processes that live on any node below `nodes`."""
    if not nodes.is_dir():
        return []
    roots = {_identity(directory) for directory in nodes.iterdir()}
    marker = f"TMPDIR={nodes}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if _identity(entry / "root/") in roots or marker in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def kill_leftovers(nodes: Path) -> int:
    """Kill until none is left (a process may fork while it is looked for); returns how many."""
    killed = 0
    for _ in range(20):
        found = find_leftovers(nodes)
        if not found:
            break
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def _identity(path: Path) -> tuple[int, int]:
    # The trailing "/." follows /proc/PID/root into the process's own root.
    found = os.stat(f"{path}/.")  # noqa: PTH116 - pathlib would strip the dot
    return found.st_dev, found.st_ino
