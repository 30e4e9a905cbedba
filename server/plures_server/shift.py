"""A shift: chunks leased together, done by the lanes, completed together.

N items of a share or of several, L lanes, M summary columns.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from plures.v1 import queue_pb2

from .dealing import Share, deal
from .engine import Engine
from .errors import PluresError, QueueUnavailable
from .lanes import Lanes
from .queue.chunks import LeasedChunk
from .queue.items import CHUNK_ITEMS, ItemBatch
from .queue.store import MOST_CHUNKS, QueueStore
from .rpc.convert import tensor_to
from .to_its_end import to_its_end

log = logging.getLogger(__name__)

VISIBILITY_MS = 30_000
"""How long a lease lasts unrenewed; it is renewed three times as often."""
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
        self._store = store
        self._queue = queue
        self._lanes = lanes
        # By chunk id, the token of its lease.
        self._held: dict[str, str] = {}
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
        while (missing := len(self._lanes) - sum(map(len, items_of.values()))) > 0:
            wanted = min(-(-missing // CHUNK_ITEMS), MOST_CHUNKS)
            lease = await self._store.lease(self._queue, wanted, VISIBILITY_MS)
            self._held |= {chunk.id: lease.token for chunk in lease.chunks}
            for chunk in lease.chunks:
                if (items := await self._read(chunk)) is not None:
                    items_of[chunk.id] = items
            if len(lease.chunks) < wanted:
                break
        return items_of

    async def _read(self, chunk: LeasedChunk) -> ItemBatch | None:
        """Take the items out of a chunk, or fail it alone when they are none that the lanes can do."""
        try:
            items = ItemBatch.load(chunk.payload)
            self._lanes.check(items)
        except (PluresError, DecodeError) as error:
            await self._store.fail(self._queue, self._held[chunk.id], [chunk.id], str(error))
            del self._held[chunk.id]
            return None
        return items

    async def _do_and_complete(self, shares: list[Share]) -> None:
        renewing = asyncio.create_task(self._renew())
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
        useful_L = np.zeros(len(self._lanes), np.bool_)
        by_token: defaultdict[str, list[_Done]] = defaultdict(list)
        for done in all_done:
            by_token[self._held[done.share.chunk]].append(done)
        try:
            for token, group in by_token.items():
                accepted = await self._accepted(token, [(done.share.chunk, done.result) for done in group])
                for done in group:
                    useful_L[done.share.lanes] = done.share.chunk in accepted
                    del self._held[done.share.chunk]
        finally:
            await self._engine.give_back(lambda pool: self._lanes.keep(useful_L))

    async def _accepted(self, token: str, results: list[tuple[str, bytes]]) -> frozenset[str]:
        """Which results count. While the store is away it is asked again: the work is done and may still count."""
        while True:
            try:
                return await self._store.complete(self._queue, token, results)
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

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(VISIBILITY_MS / 3000)
            for token, chunks in _by_token(self._held):
                # What cannot be renewed may be done by others as well; then ours will not count.
                with contextlib.suppress(QueueUnavailable):
                    await self._store.renew(self._queue, token, chunks, VISIBILITY_MS)

    async def _give_back(self, error: str | None) -> None:
        """Drop what the lanes learned, and return the chunks: as failed when there was an error, else unharmed."""
        held_before, self._held = self._held, {}
        await self._engine.give_back(lambda pool: self._lanes.drop())
        for token, chunks in _by_token(held_before):
            if error is None:
                await self._store.release(self._queue, token, chunks)
            else:
                await self._store.fail(self._queue, token, chunks, error)


def _by_token(held: dict[str, str]) -> list[tuple[str, list[str]]]:
    """The chunks of each lease, in the order in which they were leased."""
    return [(token, [chunk for chunk, _ in lease]) for token, lease in groupby(held.items(), itemgetter(1))]
