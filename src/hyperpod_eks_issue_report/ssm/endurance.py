"""Waiting for something although the waiting task is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds a cancelled task gets to end before it is left alone.
GRACE = 1.0


async def outlast(task: asyncio.Task[Any], seconds: float) -> bool:
    """Wait until the task is over, cancelling it after `seconds`.

    Returns:
        Whether the caller was cancelled meanwhile and has to go on with that.
    """
    loop = asyncio.get_running_loop()
    cancelled = False
    for allowance in (seconds, GRACE):
        end = loop.time() + allowance
        while not task.done() and (remaining := end - loop.time()) > 0:
            try:
                await asyncio.wait({task}, timeout=remaining)
            except asyncio.CancelledError:
                cancelled = True
        if task.done():
            break
        task.cancel()
    return cancelled


async def finish(coroutine: Coroutine[Any, Any, T], seconds: float) -> BaseException | None:
    """Run a last duty within `seconds`, even if the caller is cancelled; its error is returned.

    Raises:
        asyncio.CancelledError: the caller was cancelled meanwhile; the duty is over all the same.
    """
    task = asyncio.create_task(coroutine)
    cancelled = await outlast(task, seconds)
    if cancelled:
        raise asyncio.CancelledError
    return TimeoutError() if not task.done() or task.cancelled() else task.exception()
