"""Runs a subclass's own `execute_collection_on_node` as a job of the fleet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread

from hyperpod_eks_issue_report import events
from hyperpod_eks_issue_report.collect.node import failed_result, finished
from hyperpod_eks_issue_report.model import Failure, Node, NodeResult


class SubclassJob:
    """The override is synchronous and may do anything, so each runs in a thread of its own.

    An exception it raises becomes the node's failure.
    """

    def __init__(
        self, execute: Callable[[Node], NodeResult], sink: events.EventSink, node: Node
    ) -> None:
        self._execute = execute
        self._sink = sink
        self._node = node

    async def run(self) -> NodeResult:
        answer: Future[NodeResult] = Future()

        def call() -> None:
            try:
                answer.set_result(self._execute(self._node))
            except BaseException as error:  # it must reach the waiting side
                answer.set_exception(error)

        Thread(target=call, name=f"node {self._node.name}", daemon=True).start()
        try:
            return await asyncio.wrap_future(answer)
        except Exception as error:  # users' code may raise anything
            failure = Failure(
                error=type(error).__name__,
                message=f"execute_collection_on_node raised: {error}",
                hint="The error comes from the subclass's own code.",
            )
            return self._tell(failed_result(self._node, failure))

    def interrupted(self) -> NodeResult:
        failure = Failure(
            error="NodeCancelled", message="The run was stopped before this node was done."
        )
        return self._tell(failed_result(self._node, failure))

    def _tell(self, result: NodeResult) -> NodeResult:
        self._sink(finished(result, time.time()))
        return result
