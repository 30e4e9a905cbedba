"""A queue of one's own that one cohort works: what every strategy stands on."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Self, TypeVar
from uuid import uuid4

from ..aio.cohort import AsyncCohort
from ..aio.queue import AsyncQueue, Keep
from ..errors import AlreadyExists, FailedPrecondition, NotFound, PluresClientError, ServerError, Unavailable
from ..items import Items
from ..ordinals import OrdinalsLike
from .problem import Results
from .progress import Report, Step
from .tray import Tray

T = TypeVar("T")

WATCH_S = 1.0
PATIENCE = 6
FIRST_DELAY_S = 0.1


class Workshop:
    """Opened by its first items, and gone at the end of `async with`, whatever happened: nothing stays leased.

    A connection that breaks is taken up again: items are submitted under the same id, results read on from the last
    one seen, so that each item is done once.
    """

    def __init__(self, cohort: AsyncCohort, *, keep: Keep, ordinals: OrdinalsLike, report: Report) -> None:
        self._cohort, self._keep, self._ordinals, self._report = cohort, keep, ordinals, report
        self._queue: AsyncQueue = cohort.queue(f"work-{uuid4().hex}")
        self._opened = False
        self._attached = False
        self._submitted = 0
        self._cursor = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._opened:
            with suppress(NotFound):
                await _persist(self._queue.delete)

    async def do(self, label: str, items: Items) -> Results:
        """Have all items done and give their results in order; `label` names them in reports.

        Raises:
            ServerError: items were given up. FailedPrecondition: somebody detached the cohort. Unavailable, …
        """
        numbered = items.numbered_from(self._submitted)
        tray = Tray(numbered, (await self._cohort.task(items.task)).summary)
        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(self._watch())
                await self._submit(numbered)
                await _persist(lambda: self._collect(tray, label))
                watcher.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self._submitted += len(items)
        return tray.results()

    async def _submit(self, items: Items) -> None:
        self._opened = True
        await _persist(lambda: self._queue.enqueue(items, submit_id=f"from-{self._submitted}"))
        if not self._attached:
            # The queue is our own: who works it already was attached by an attempt whose answer was lost.
            with suppress(AlreadyExists):
                await _persist(lambda: self._queue.attach(self._cohort.name, keep=self._keep, ordinals=self._ordinals))
            self._attached = True

    async def _collect(self, tray: Tray, label: str) -> None:
        async with aclosing(self._queue.results(self._cursor)) as batches:
            while not tray.is_full:
                batch = await anext(batches, None)
                if batch is None:
                    raise Unavailable("the server ended the stream of results")
                tray.put(batch)
                self._cursor = batch.cursor
                self._report(Step(label, tray.filled, tray.size))

    async def _watch(self) -> None:
        """Fail when results will not come: the queue tells of items given up and cohorts gone only when asked."""
        while True:
            await asyncio.sleep(WATCH_S)
            if not self._attached:
                continue
            stats = await _persist(self._queue.stats)
            if stats.dead:
                raise ServerError(f"{stats.dead} items were given up: {stats.last_error}")
            if self._cohort.name not in stats.attached:
                raise FailedPrecondition(f"cohort {self._cohort.name} was detached before its work was done")


async def _persist(attempt: Callable[[], Awaitable[T]]) -> T:
    """The outcome of what may be tried again without harm, tried until the server has been away for some seconds."""
    delay_s = FIRST_DELAY_S
    for _ in range(PATIENCE):
        try:
            return await attempt()
        except PluresClientError as error:
            if not isinstance(error, Unavailable) and error.retry_after_s is None:
                raise
            await asyncio.sleep(error.retry_after_s or delay_s)
            delay_s *= 2
    return await attempt()
