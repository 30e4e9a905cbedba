"""Work that, once begun, is waited for to its end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T], hasten: Callable[[], None] = lambda: None) -> T:
    """The work's result. Who is cancelled meanwhile calls `hasten`, waits until the work has ended, and only then goes.

    Whatever the work came to, a cancellation is raised as one, from the work's error if there was any.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
            hasten()
    if cancelled is not None:
        raise cancelled from (None if task.cancelled() else task.exception())
    return task.result()
