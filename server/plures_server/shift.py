"""A shift: chunks leased together, done by the lanes, completed together.

N items of a share or of several, L lanes, M summary columns.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from .asking import Asked, asked_by
from .dealing import Share, deal
from .engine import Engine
from .errors import InvalidArgument, PluresError, QueueUnavailable, TaskFailed
from .holdings import Holdings
from .lanes import Lanes, NobodyWaits, check_items
from .outcomes import Failure, Outcome, Success, outcome
from .queue.chunks import LeasedChunk, Result
from .queue.items import CHUNK_ITEMS, ItemBatch
from .queue.store import MOST_CHUNKS, QueueStore
from .to_its_end import to_its_end

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5


class Shift:
    """One round of lease, do, complete. However it ends, nothing stays leased that could be given back."""

    def __init__(self, engine: Engine, store: QueueStore, queue: str, lanes: Lanes, doubts: asyncio.Event) -> None:
        self._engine = engine
        self._queue = queue
        self._lanes = lanes
        self._held = Holdings(store, queue)
        self._doubts = doubts
        self._leaving = False

    async def work(self) -> bool:
        """Lease about an item a lane, do them, give their results, and keep what was learned where they count.

        Says whether there were any. When cancelled, or when something is missing to do them, items go back unharmed.
        """
        try:
            if items_of := await self._lease():
                await self._do_and_complete(deal(items_of, len(self._lanes)))
                return True
        except asyncio.CancelledError:
            # While the store is away nothing can be given back; others get it when the lease ends.
            with contextlib.suppress(QueueUnavailable):
                await self._give_back()
            raise
        except NobodyWaits:
            await self._give_back()
            return True
        except Exception:
            await self._give_back()
            raise
        return False

    async def _lease(self) -> dict[str, ItemBatch]:
        """The items to do, by chunk id."""
        items_of: dict[str, ItemBatch] = {}
        while (missing := len(self._lanes) - sum(map(len, items_of.values()))) > 0:
            wanted = min(-(-missing // CHUNK_ITEMS), MOST_CHUNKS)
            leased = await self._held.lease(wanted, self._lanes.kinds)
            items_of |= {chunk.id: items for chunk in leased if (items := await self._read(chunk)) is not None}
            if len(leased) < wanted:
                break
        return items_of

    async def _read(self, chunk: LeasedChunk) -> ItemBatch | None:
        """Take the items out of a chunk; when they cannot be done, fail it alone."""
        try:
            items = ItemBatch.load(chunk.payload).rows(chunk.rows)
            check_items(items)
            if items.task not in self._lanes.kinds:
                raise InvalidArgument(f"items of task {items.task!r} are in a chunk of another kind")
        except (PluresError, DecodeError) as error:
            await self._held.fail([chunk.id], str(error))
            return None
        return items

    async def _do_and_complete(self, shares: list[Share]) -> None:
        renewing = asyncio.create_task(self._held.keep(self._doubts))
        try:
            outcomes = await self._do_all(shares)
            # Results that count and learning that is kept belong together.
            await to_its_end(self._complete(outcomes), hasten=self._leave)
        finally:
            renewing.cancel()

    def _leave(self) -> None:
        self._leaving = True

    async def _do_all(self, shares: list[Share]) -> list[Outcome]:
        by_task: defaultdict[str, list[Share]] = defaultdict(list)
        for share in shares:
            by_task[share.items.task].append(share)
        return [found for group in by_task.values() for found in await self._try(group)]

    async def _try(self, shares: list[Share]) -> list[Outcome]:
        """Do shares together; when that fails, each by itself, so that none fails for another."""
        try:
            return await self._do(shares)
        except NobodyWaits:
            raise
        except PluresError as error:
            if not isinstance(error, TaskFailed):
                raise
            failure = str(error)
        except Exception as error:
            # A student's model is not ours; its items fail with it, and the cohort works on.
            log.exception("%s failed at items of %s", self._lanes.cohort.name, self._queue)
            failure = f"{type(error).__name__}: {error}"
        await self._engine.give_back(lambda pool: self._lanes.restart(self._mask(shares)))
        if len(shares) == 1:
            return [Failure(shares[0], failure)]
        return [found for share in shares for found in await self._try([share])]

    async def _do(self, shares: list[Share]) -> list[Outcome]:
        items = ItemBatch.join([share.items for share in shares])
        lane_N = np.concatenate([share.lane_N for share in shares])
        turn_N = np.concatenate([share.turn_N for share in shares])
        # Most steps first: who is done falls off the end of the wave.
        order_N = np.lexsort((-items.steps_N.astype(np.int64), turn_N))
        summaries, asked = [], []
        for rows in np.split(order_N, np.flatnonzero(np.diff(turn_N[order_N])) + 1):
            batch = items.rows(rows)
            done = await self._lanes.do(self._engine, batch, lane_N[rows], lambda: self._held.is_any_wanted)
            summaries.append(done.summary_NM)
            if done.asks is not None:
                asked.append(asked_by(batch, done.asks).moved(rows))
        summary_NM = np.empty((len(items), summaries[0].shape[1]), np.float32)
        summary_NM[order_N] = np.concatenate(summaries)
        return self._outcomes(shares, summary_NM, asked)

    def _outcomes(self, shares: list[Share], summary_NM: NDArray[np.float32], asked: list[Asked]) -> list[Outcome]:
        ends = np.cumsum([len(share.items) for share in shares]).tolist()
        parts = zip(shares, map(slice, [0, *ends[:-1]], ends), strict=True)
        return [
            outcome(self._lanes, self._held, share, summary_NM[rows], [part.by(rows) for part in asked])
            for share, rows in parts
        ]

    def _mask(self, shares: list[Share]) -> NDArray[np.bool_]:
        mask_L = np.zeros(len(self._lanes), np.bool_)
        for share in shares:
            mask_L[share.lanes] = True
        return mask_L

    async def _complete(self, outcomes: list[Outcome]) -> None:
        """Give the results, a lease's at once. What was learned on those that count is kept, and nothing else."""
        done_of = {done.share.chunk: done for done in outcomes if isinstance(done, Success)}
        useful: list[Share] = []
        try:
            for failed in (failed for failed in outcomes if isinstance(failed, Failure)):
                await self._held.fail([failed.share.chunk], failed.error)
            for lease in self._held.by_lease(self._held.chunks):
                for chunk in await self._accepted([done_of[chunk].result for chunk in lease]):
                    useful.append(done_of[chunk].share)
        finally:
            await self._engine.give_back(lambda pool: self._lanes.keep(self._mask(useful)))

    async def _accepted(self, results: list[Result]) -> frozenset[str]:
        """Which results count. While the store is away it is asked again: the work is done and may still count."""
        while True:
            try:
                return await self._held.complete(results)
            except QueueUnavailable as error:
                if self._leaving:
                    raise
                log.warning("results for queue %s wait for the store: %s", self._queue, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _give_back(self) -> None:
        """Drop what the lanes learned, and return the chunks unharmed."""
        await self._engine.give_back(lambda pool: self._lanes.drop())
        await self._held.release(self._held.chunks)
