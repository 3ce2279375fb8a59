"""What all sessions share: the world, the registry of sessions, waiting for things to happen."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .node_root import NodeRoot
from .scenario import Scenario
from .world import Node, World

if TYPE_CHECKING:
    from .session import Session


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call of the SageMaker or SSM API; `error` is the code it was answered with."""

    time: float
    action: str
    principal: str
    error: str | None


class Hub:
    """Everything a running sandbox knows. Lives on the event loop; `changes` serves threads."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self.directory = directory
        self.s3_url = ""
        self.sessions: dict[str, Session] = {}
        self.calls: list[ApiCall] = []
        self.mistakes: list[str] = []
        self.most_open = 0
        self.changes = threading.Condition()
        self._roots: dict[int, NodeRoot] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[str] = set()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def scenario(self) -> Scenario:
        return self.world.scenario

    def root_of(self, node: Node) -> NodeRoot:
        """The node's root, made (not yet built) on first use."""
        index = node.identity.index
        if index not in self._roots:
            directory = self.directory / "nodes" / node.instance_id
            region = self.scenario.cluster.region
            self._roots[index] = NodeRoot(node, directory, self.s3_url, region)
        return self._roots[index]

    def record(self, action: str, principal: str, error: str | None) -> None:
        """Note an API call."""
        self.calls.append(ApiCall(time.time(), action, principal, error))
        self.changed()

    def mistake(self, text: str) -> None:
        """Something the sandbox itself did wrong; tests check that there is none."""
        self.mistakes.append(text)
        self.changed()

    def apply(self, scenario: Scenario) -> None:
        """Change settings while running; open sessions take link faults over at once."""
        self.world.apply(scenario)
        for session in self.sessions.values():
            session.link.settings = session.node.settings.link
        self.changed()

    # --- waiting ----------------------------------------------------------------------------

    def changed(self) -> None:
        """Wake every thread in `wait_for`."""
        with self.changes:
            self.changes.notify_all()

    def status_changed(self, session: Session) -> None:
        """Keep the number of open sessions and wake who waits for it."""
        if session.status in ("Connected", "Terminating"):
            self._open.add(session.session_id)
        else:
            self._open.discard(session.session_id)
        count = len(self._open)
        if count > self.most_open:
            self.most_open = count
            ready = [future for wanted, future in self._waiting if wanted <= count]
            self._waiting = [entry for entry in self._waiting if entry[0] > count]
            for future in ready:
                if not future.done():
                    future.set_result(None)
        self.changed()

    async def open_sessions_reach(self, count: int) -> None:
        """Return once so many sessions have been open at the same time."""
        if self.most_open >= count:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, future))
        await future

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> None:
        """Block a thread until `condition` holds; raises TimeoutError."""
        with self.changes:
            if not self.changes.wait_for(condition, timeout):
                raise TimeoutError(f"the sandbox did not get there in {timeout} s")

    # --- tasks ------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside everything else; an exception is recorded as a mistake."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.mistake(repr(task.exception()))

    async def close(self) -> None:
        """End every session and every node."""
        for session in self.sessions.values():
            if not session.over:
                session.end_soon("The sandbox is stopping.")
        while self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        for root in self._roots.values():
            await root.close()
