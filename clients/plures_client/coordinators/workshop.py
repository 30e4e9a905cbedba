"""A queue of one's own that one cohort works: what every strategy stands on."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Self

from ..aio.cohort import AsyncCohort
from ..aio.queue import AsyncQueue, Keep
from ..errors import (
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    NotFound,
    ServerError,
    Unavailable,
)
from ..items import Items, ResultBatch
from ..ordinals import OrdinalsLike
from .family import Family
from .manifest import Manifest
from .persistence import persist
from .problem import Results
from .progress import Report, Step
from .tray import Tray

WATCH_S = 1.0


class _Lost(Exception):
    """The queue is there, but begun anew: what was on it is not."""


class Workshop:
    """Opened by its first items, and gone at the end of `async with`, whatever happened: nothing stays leased.

    A connection that breaks is taken up again: items are submitted under the same id, results read on from the last
    one seen, so that each item is done once. For the same reason a coordinator that goes on by another's manifest,
    and submits what that one did, finds what is done already, and waits for the rest.

    When the queue's store comes back empty, submissions that lack results are made again under the ids they had;
    results that were there by then stay, and none is taken twice.
    """

    def __init__(
        self,
        cohort: AsyncCohort,
        *,
        keep: Keep,
        ordinals: OrdinalsLike,
        report: Report,
        manifest: Path | str | None = None,
    ) -> None:
        self._cohort, self._keep, self._ordinals, self._report = cohort, keep, ordinals, report
        self._manifest = Manifest.open(manifest, cohort.name)
        self._queue: AsyncQueue = cohort.queue(self._manifest.name)
        self._opened = self._manifest.found > 0
        self._attached = False
        self._submitted = self._submissions = 0
        self._cursor = ""
        self._incarnation = ""
        self._was_lost = False
        self._open: dict[str, Tray] = {}
        self._early: list[ResultBatch] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._opened and self._manifest.is_ours:
            with suppress(NotFound):
                await persist(self._queue.delete)
        self._manifest.remove()

    async def do(self, label: str, items: Items) -> Results:
        """Have all items done and give their results in order; `label` names them in reports.

        Raises:
            ServerError: items were given up. FailedPrecondition: somebody detached the cohort. Unavailable, …
        """
        return await self.collect(label, await self.submit(items))

    async def submit(self, items: Items) -> Tray:
        """Put items on the queue; the tray is where `collect` will put their results."""
        numbered = items.numbered_from(self._submitted)
        tray = Tray(numbered, (await self._cohort.task(items.task)).summary)
        # What may be on the server is on record first.
        self._manifest.agree(self._submissions, numbered.digest())
        submit_id = f"from-{self._submitted}"
        await self._enqueue(numbered, submit_id)
        self._submitted += len(items)
        self._submissions += 1
        self._open[submit_id] = tray
        early, self._early = self._early, []
        for batch in early:
            self._deal(batch)
        return tray

    async def follow(self, label: str, items: Items) -> Family:
        """Have all items done, and all that they ask others for, and so on: nothing else may be asked of this workshop.

        Raises what `do` raises.
        """
        family = Family(len(items), (await self._cohort.task(items.task)).summary)
        self._manifest.agree(self._submissions, items.digest())
        await self._enqueue(items, "from-0")

        async def begin_anew() -> None:
            # Who asked for what is gone with the queue; items that are done again ask for the same.
            family.clear()
            await self._enqueue(items, "from-0")

        await self._wait(lambda: self._fill(family, family.put, label), begin_anew)
        return family

    async def collect(self, label: str, tray: Tray) -> Results:
        """Wait until the tray is full; raises what `do` raises."""
        await self._wait(lambda: self._fill(tray, self._deal, label), self._submit_again)
        self._open = {submit_id: other for submit_id, other in self._open.items() if other is not tray}
        return tray.results()

    async def _wait(self, fill: Callable[[], Awaitable[None]], begin_anew: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await self._watched(fill)
            except (NotFound, _Lost):
                self._cursor = self._incarnation = ""
                self._was_lost = True
                await begin_anew()

    async def _watched(self, fill: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(self._watch())
                await persist(fill, standing=lambda: self._cursor)
                watcher.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _submit_again(self) -> None:
        self._early = []
        for submit_id, tray in self._open.items():
            tray.expects_again()
            await self._enqueue(tray.items, submit_id)

    async def _enqueue(self, items: Items, submit_id: str) -> None:
        self._opened = True
        await persist(lambda: self._queue.enqueue(items, submit_id=submit_id))
        while not self._incarnation:
            try:
                self._incarnation = (await persist(self._queue.stats)).incarnation
            except NotFound:
                await persist(lambda: self._queue.enqueue(items, submit_id=submit_id))
        if not self._attached:
            # The queue is our own: who works it already was attached by an attempt whose answer was lost.
            with suppress(AlreadyExists):
                await persist(lambda: self._queue.attach(self._cohort.name, keep=self._keep, ordinals=self._ordinals))
            self._attached = True

    async def _fill(self, tray: Tray | Family, take: Callable[[ResultBatch], None], label: str) -> None:
        async with aclosing(self._queue.results(self._cursor)) as batches:
            while not tray.is_full:
                batch = await anext(batches, None)
                if batch is None:
                    raise Unavailable("the server ended the stream of results")
                take(batch)
                self._cursor = batch.cursor
                self._report(Step(label, tray.filled, tray.size))

    def _deal(self, batch: ResultBatch) -> None:
        """Put results on their trays; those of items that a coordinator before us submitted wait for theirs."""
        is_early = batch.item >= self._submitted
        if is_early.any():
            self._early.append(batch.rows(is_early))
        for tray in self._open.values():
            held = tray.holds(batch.item)
            if held.any():
                tray.put(batch.rows(held))
            is_early |= held
        # After a loss results are read from the first one on, also of what was submitted before the loss was noticed.
        if not is_early.all() and not self._was_lost:
            raise DataLoss(f"a result came for item {batch.item[is_early.argmin()]}, which was not asked for now")

    async def _watch(self) -> None:
        """Fail when results will not come: the queue tells of items given up and cohorts gone only when asked."""
        while True:
            await asyncio.sleep(WATCH_S)
            if not self._attached:
                continue
            stats = await persist(self._queue.stats)
            if stats.incarnation != self._incarnation:
                raise _Lost
            if stats.dead:
                raise ServerError(f"{stats.dead} items were given up: {stats.last_error}")
            if self._cohort.name not in stats.attached:
                raise FailedPrecondition(f"cohort {self._cohort.name} was detached before its work was done")
