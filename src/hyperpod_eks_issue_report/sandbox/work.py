"""What an agent does in a session, for each kind of session document.

Source of the order of things: aws/amazon-ssm-agent `agent/session/shell/{shell,shell_unix}.go`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import signal
import tempfile
from dataclasses import dataclass, field
from typing import Protocol

from hyperpod_eks_issue_report.ssm.messages import PayloadType

from . import argv, processes
from .node_root import NodeError, NodeRoot
from .scenario import AgentFaults, Answer
from .utf8_filter import Utf8Filter
from .world import Node

#: Between the exit of a process that never started and the text about it (about 1 s, measured).
START_FAILURE_DELAY = 1.0
SPLIT_FAILURE_DELAY = 3.0
#: A terminal and a spooled file are sent at most 1024 bytes per millisecond.
PACE = 0.001


class AgentSide(Protocol):
    """What work sees of its session."""

    node: Node
    root: NodeRoot
    commands: WorkInput

    @property
    def faults(self) -> AgentFaults: ...

    @property
    def active(self) -> bool: ...

    async def send(self, payload_type: int, data: bytes) -> None: ...

    async def resumed(self) -> None: ...

    async def open_sessions_reach(self, count: int) -> None: ...

    def terminal_is_ready(self) -> None: ...


@dataclass(slots=True)
class WorkInput:
    """What the client sends to the work; `sizes` only matters on a terminal."""

    keys: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    size: tuple[int, int] | None = None
    descriptor: int | None = None

    def resize(self, cols: int, rows: int) -> None:
        """Apply to the terminal now, or once there is one."""
        self.size = (cols, rows)
        if self.descriptor is not None:
            processes.resize(self.descriptor, cols, rows)


async def answer(side: AgentSide, what: Answer) -> None:
    """Say a fixed text when enough sessions are open. No process is run."""
    await side.open_sessions_reach(what.wait_for_sessions)
    chunks = [
        [(kind, chunk) for chunk in _chunks(_filled(side, text, what.base64))]
        for kind, text in ((PayloadType.OUTPUT, what.stdout), (PayloadType.STDERR, what.stderr))
    ]
    if side.faults.interleave:
        pairs = itertools.zip_longest(*chunks)
        ordered = [chunk for pair in pairs for chunk in pair if chunk is not None]
    else:
        ordered = [*chunks[0], *chunks[1]]
    for kind, chunk in ordered:
        await side.send(kind, chunk)
    if what.exit_code is not None:
        await _send_exit_code(side, what.exit_code)


def _filled(side: AgentSide, text: str, is_base64: bool) -> bytes:
    data = base64.b64decode(text) if is_base64 else text.encode()
    data = data.replace(b"{instance_id}", side.node.instance_id.encode())
    return data.replace(b"{group}", side.node.identity.group.encode())


def _chunks(data: bytes) -> list[bytes]:
    size = processes.CHUNK
    return [data[start : start + size] for start in range(0, len(data), size)]


async def run_separate(side: AgentSide, command: str) -> bool:
    """NonInteractive with separateOutputStream: live pipes, then the exit code.

    Returns whether the process could be started.
    """
    words = await _words(side, command)
    if words is None:
        return False
    problem = await _cannot_start(side, words)
    if problem is not None:
        await _send_exit_code(side, 1)
        await asyncio.sleep(START_FAILURE_DELAY)
        await side.send(PayloadType.STDERR, problem.encode())
        return False
    process, out, err = await processes.start_piped(side.root, words)
    keys = asyncio.create_task(_signals(side, process))
    try:
        async with asyncio.TaskGroup() as readers:
            readers.create_task(_forward_live(side, out, PayloadType.OUTPUT))
            readers.create_task(_forward_live(side, err, PayloadType.STDERR))
        code = await process.wait()
        # Interrupted through the channel, the agent waits twice and reports 1.
        interrupted = keys.done() and not keys.cancelled()
        await _send_exit_code(side, 1 if interrupted else code)
    finally:
        await _end(keys)
        await asyncio.shield(process.kill())
        process.close()
    return True


async def run_spooled(side: AgentSide, command: str) -> bool:
    """NonInteractive by default: everything into one file, sent after the end; no exit code."""
    words = await _words(side, command)
    if words is None:
        return False
    problem = await _cannot_start(side, words)
    if problem is not None:
        await asyncio.sleep(START_FAILURE_DELAY)
        await side.send(PayloadType.STDERR, problem.encode())
        return False
    with tempfile.TemporaryFile() as spool:
        process = await processes.start_spooled(side.root, words, spool)
        keys = asyncio.create_task(_signals(side, process))
        try:
            await process.wait()
        finally:
            await _end(keys)
            await asyncio.shield(process.kill())
        spool.seek(0)
        kept = Utf8Filter()
        while data := spool.read(processes.CHUNK):
            await side.resumed()
            await side.send(PayloadType.OUTPUT, kept.feed(data))
            await asyncio.sleep(PACE)
    return True


async def run_terminal(side: AgentSide, command: str) -> bool:
    """Standard_Stream and InteractiveCommands: a PTY, no exit code."""
    words = await _words(side, command or "sh")
    if words is None:
        return False
    problem = await _cannot_start(side, words)
    if problem is not None:
        await side.send(PayloadType.STDERR, problem.encode())
        return False
    process, terminal = await processes.start_on_terminal(side.root, words)
    side.commands.descriptor = terminal
    if side.commands.size is not None:
        processes.resize(terminal, *side.commands.size)
    side.terminal_is_ready()
    keys = asyncio.create_task(_type(side, terminal))
    try:
        await asyncio.sleep(side.faults.terminal_wait)
        kept = Utf8Filter()
        while data := await processes.read_chunk(terminal):
            await side.resumed()
            await side.send(PayloadType.OUTPUT, kept.feed(data))
            await asyncio.sleep(PACE)
    finally:
        side.commands.descriptor = None
        await _end(keys)
        await asyncio.shield(process.kill())
        process.close()
    return True


async def _words(side: AgentSide, command: str) -> list[str] | None:
    try:
        return argv.split(command)
    except argv.SplitError as error:
        await asyncio.sleep(SPLIT_FAILURE_DELAY)
        text = f"Unable to start command: Failed to parse commands input: {error}\n"
        await side.send(PayloadType.STDERR, text.encode())
        return None


async def _cannot_start(side: AgentSide, words: list[str]) -> str | None:
    """Go's text for a command that cannot be executed."""
    try:
        await side.root.command(words)
    except NodeError as error:
        return f"Unable to start command: {error}\n"
    if not words:
        return "Unable to start command: exec: no command\n"
    if side.root.finds(words[0]):
        return None
    if "/" in words[0]:
        return f"Unable to start command: fork/exec {words[0]}: no such file or directory\n"
    return f'Unable to start command: exec: "{words[0]}": executable file not found in $PATH\n'


async def _forward_live(side: AgentSide, descriptor: int, kind: PayloadType) -> None:
    """Send a pipe's content as it comes; quits, and never returns, when the channel is paused.

    That is the agent's way to lose output: shell.go:748-751.
    """
    kept = Utf8Filter()
    while side.active:
        data = await processes.read_chunk(descriptor)
        if not data:
            return
        await side.send(kind, kept.feed(data))
        if side.active:
            await asyncio.sleep(0)


async def _send_exit_code(side: AgentSide, code: int) -> None:
    faults = side.faults
    if faults.omit_exit_code:
        return
    shown = code if faults.lie_exit_code is None else faults.lie_exit_code
    await side.send(PayloadType.EXIT_CODE, f"EXIT_CODE: {shown}".encode())


async def _signals(side: AgentSide, process: processes.NodeProcess) -> None:
    """0x03 and 0x1c in the input signal the direct process; ends after the first signal."""
    while True:
        data = await side.commands.keys.get()
        numbers = {0x03: signal.SIGINT, 0x1C: signal.SIGQUIT}
        sent = [numbers[byte] for byte in data if byte in numbers]
        for number in sent:
            process.signal(number)
        if sent:
            return


async def _type(side: AgentSide, terminal: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            await processes.write_all(terminal, await side.commands.keys.get())


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
