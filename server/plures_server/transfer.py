"""Work on files beside the event loop, which sees how far it is and may stop it."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

REPORT_SECONDS = 0.1


class Stopped(Exception):
    """Nobody waits for the work any more. Never seen outside of it."""


@dataclass(frozen=True)
class Progress:
    """Bytes so far, of how many."""

    bytes: int
    total_bytes: int


class Transfer:
    """How far a piece of work is: told by the thread that does it."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self._bytes = 0
        self._stop = threading.Event()

    def advance(self, count: int) -> None:
        """So many bytes more are done; raise Stopped when nobody waits for the rest."""
        self._bytes += count
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        self._stop.set()

    @property
    def progress(self) -> Progress:
        return Progress(self._bytes, self.total_bytes)


async def watched(work: Callable[[Transfer], T]) -> AsyncGenerator[Progress | T, None]:
    """Do the work in a thread: its progress now and then, its result at last.

    Who leaves earlier stops the work, and waits until it has stopped: it may hold pages.
    """
    transfer = Transfer()
    task = asyncio.create_task(asyncio.to_thread(work, transfer))
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=REPORT_SECONDS)
            yield transfer.progress
        yield task.result()
    finally:
        transfer.stop()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()


async def outcome(events: AsyncGenerator[Progress | T, None]) -> T:
    """The last of the events, which is no progress."""
    async for event in events:
        if not isinstance(event, Progress):
            result = event
    return result
