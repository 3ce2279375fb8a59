"""Processes of a node and their pipes, read exactly when the agent would read."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import struct
import subprocess
import termios
from dataclasses import dataclass, field
from typing import IO

from .node_root import NodeRoot

CHUNK = 1024


@dataclass(slots=True)
class NodeProcess:
    """A running process: the direct child is the command itself, not a helper."""

    process: asyncio.subprocess.Process
    descriptors: list[int] = field(default_factory=list)

    def signal(self, number: int) -> None:
        """Signal the direct process only; what it started lives on."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def wait(self) -> int:
        """The exit code as Go's ExitCode gives it: -1 when a signal ended the process."""
        code = await self.process.wait()
        return -1 if code < 0 else code

    async def kill(self) -> None:
        """End the direct process and wait for it."""
        self.signal(signal.SIGKILL)
        await self.process.wait()

    def close(self) -> None:
        """Close this side's pipe ends."""
        for descriptor in self.descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.descriptors.clear()


async def start_piped(root: NodeRoot, argv: list[str]) -> tuple[NodeProcess, int, int]:
    """Start with separate pipes; returns the process and the read ends of stdout and stderr."""
    command = await root.command(argv)
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    try:
        process = await _spawn(root, command, subprocess.DEVNULL, out_write, err_write)
    except BaseException:
        os.close(out_read)
        os.close(err_read)
        raise
    finally:
        os.close(out_write)
        os.close(err_write)
    return NodeProcess(process, [out_read, err_read]), out_read, err_read


async def start_spooled(root: NodeRoot, argv: list[str], spool: IO[bytes]) -> NodeProcess:
    """Start with stdout and stderr in one file."""
    command = await root.command(argv)
    return NodeProcess(await _spawn(root, command, subprocess.DEVNULL, spool, spool))


async def start_on_terminal(root: NodeRoot, argv: list[str]) -> tuple[NodeProcess, int]:
    """Start on a new PTY; returns the process and the controlling side."""
    command = await root.command(argv)
    controller, terminal = os.openpty()
    try:
        process = await _spawn(root, ["setsid", "-c", *command], terminal, terminal, terminal)
    except BaseException:
        os.close(controller)
        raise
    finally:
        os.close(terminal)
    return NodeProcess(process, [controller]), controller


async def _spawn(
    root: NodeRoot,
    command: list[str],
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, stderr=stderr, env=root.environment(), cwd="/"
    )


async def read_chunk(descriptor: int) -> bytes:
    """Read at most 1024 bytes once there are any; b"" at the end (for a PTY: EIO)."""
    os.set_blocking(descriptor, False)
    while True:
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:
            await _ready(descriptor, write=False)
        except OSError as error:
            if error.errno == errno.EIO:
                return b""
            raise


async def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, however slowly the process reads."""
    os.set_blocking(descriptor, False)
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            await _ready(descriptor, write=True)


async def _ready(descriptor: int, *, write: bool) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    add, remove = (
        (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    )
    add(descriptor, wake)
    try:
        await future
    finally:
        remove(descriptor)


def resize(descriptor: int, cols: int, rows: int) -> None:
    """TIOCSWINSZ."""
    with contextlib.suppress(OSError):
        size = struct.pack("HHHH", rows, cols, 0, 0)
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)
