"""A shift: chunks leased together, done by the lanes, completed together.

N items of a share or of several, L lanes, M summary columns.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from plures.v1 import queue_pb2

from .dealing import Share, deal
from .engine import Engine
from .errors import PluresError, QueueUnavailable
from .holdings import Holdings
from .lanes import Lanes, check_items
from .queue.chunks import LeasedChunk
from .queue.items import CHUNK_ITEMS, ItemBatch
from .queue.store import MOST_CHUNKS, QueueStore
from .rpc.convert import tensor_to
from .to_its_end import to_its_end

log = logging.getLogger(__name__)

MOST_MISSES = 16
"""After so many leases that brought chunks for other students, a shift makes do with what it has."""
RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class _Done:
    """A share, and the result of its chunk."""

    share: Share
    result: bytes


class Shift:
    """One round of lease, do, complete. However it ends, nothing stays leased that could be given back."""

    def __init__(self, engine: Engine, store: QueueStore, queue: str, lanes: Lanes) -> None:
        self._engine = engine
        self._queue = queue
        self._lanes = lanes
        self._held = Holdings(store, queue)
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
                await self._give_back(None)
            raise
        except PluresError:
            await self._give_back(None)
            raise
        except Exception as error:
            await self._give_back(f"{type(error).__name__}: {error}")
            raise
        return False

    async def _lease(self) -> dict[str, ItemBatch]:
        """The items to do, by chunk id."""
        items_of: dict[str, ItemBatch] = {}
        misses = 0
        while (missing := len(self._lanes) - sum(map(len, items_of.values()))) > 0 and misses < MOST_MISSES:
            wanted = min(-(-missing // CHUNK_ITEMS), MOST_CHUNKS)
            leased = await self._held.lease(wanted)
            found = {chunk.id: items for chunk in leased if (items := await self._read(chunk)) is not None}
            items_of |= found
            misses += len(found) < len(leased)
            if len(leased) < wanted:
                break
        # Behind what the lanes may find next, others may find what is for them.
        await self._held.release([chunk for chunk in self._held.chunks if chunk not in items_of], last=True)
        return items_of

    async def _read(self, chunk: LeasedChunk) -> ItemBatch | None:
        """Take the items out of a chunk if they are for the lanes' student; when nobody can do them, fail it alone."""
        try:
            items = ItemBatch.load(chunk.payload)
            check_items(items)
        except (PluresError, DecodeError) as error:
            await self._held.fail([chunk.id], str(error))
            return None
        return items if self._lanes.can_do(items.task) else None

    async def _do_and_complete(self, shares: list[Share]) -> None:
        renewing = asyncio.create_task(self._held.keep())
        try:
            done = await self._do_all(shares)
            # Results that count and learning that is kept belong together.
            await to_its_end(self._complete(done), hasten=self._leave)
        finally:
            renewing.cancel()

    def _leave(self) -> None:
        self._leaving = True

    async def _do_all(self, shares: list[Share]) -> list[_Done]:
        by_task: defaultdict[str, list[Share]] = defaultdict(list)
        for share in shares:
            by_task[share.items.task].append(share)
        return [done for group in by_task.values() for done in await self._do(group)]

    async def _do(self, shares: list[Share]) -> list[_Done]:
        items = ItemBatch.join([share.items for share in shares])
        lane_N = np.concatenate([share.lane_N for share in shares])
        turn_N = np.concatenate([share.turn_N for share in shares])
        # Most steps first: who is done falls off the end of the wave.
        order_N = np.lexsort((-items.steps_N.astype(np.int64), turn_N))
        turns = np.split(order_N, np.flatnonzero(np.diff(turn_N[order_N])) + 1)
        summaries = [await self._lanes.do(self._engine, items.rows(rows), lane_N[rows]) for rows in turns]
        summary_NM = np.empty((len(items), summaries[0].shape[1]), np.float32)
        summary_NM[order_N] = np.concatenate(summaries)
        ends = np.cumsum([len(share.items) for share in shares])[:-1]
        return [
            _Done(*done) for done in zip(shares, map(self._result, shares, np.split(summary_NM, ends)), strict=True)
        ]

    async def _complete(self, all_done: list[_Done]) -> None:
        """Give the results, a lease's at once. What was learned on those that count is kept, and nothing else."""
        done_of = {done.share.chunk: done for done in all_done}
        useful_L = np.zeros(len(self._lanes), np.bool_)
        try:
            for lease in self._held.by_lease(self._held.chunks):
                for chunk in await self._accepted([(chunk, done_of[chunk].result) for chunk in lease]):
                    useful_L[done_of[chunk].share.lanes] = True
        finally:
            await self._engine.give_back(lambda pool: self._lanes.keep(useful_L))

    async def _accepted(self, results: list[tuple[str, bytes]]) -> frozenset[str]:
        """Which results count. While the store is away it is asked again: the work is done and may still count."""
        while True:
            try:
                return await self._held.complete(results)
            except QueueUnavailable as error:
                if self._leaving:
                    raise
                log.warning("results for queue %s wait for the store: %s", self._queue, error)
                await asyncio.sleep(RETRY_SECONDS)

    def _result(self, share: Share, summary_NM: NDArray[np.float32]) -> bytes:
        return queue_pb2.ResultsResponse(
            item=tensor_to(share.items.item_N),
            summary=tensor_to(summary_NM),
            cohort=f"cohorts/{self._lanes.cohort.name}",
            ordinal=tensor_to(self._lanes.ordinals[share.lane_N].astype(np.uint32)),
        ).SerializeToString()

    async def _give_back(self, error: str | None) -> None:
        """Drop what the lanes learned, and return the chunks: as failed when there was an error, else unharmed."""
        await self._engine.give_back(lambda pool: self._lanes.drop())
        if error is None:
            await self._held.release(self._held.chunks)
        else:
            await self._held.fail(self._held.chunks, error)
