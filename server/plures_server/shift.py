"""A shift: chunks leased together, done by the lanes, completed together.

N items of the shift, L lanes, M summary columns.
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


@dataclass
class _Held:
    """A leased chunk; its items once they are read; once they are done, which lane did each, and what came of it."""

    token: str
    chunk: LeasedChunk
    items: ItemBatch | None = None
    lane_N: NDArray[np.int64] | None = None
    summary_NM: NDArray[np.float32] | None = None


class Shift:
    """One round of lease, do, complete. However it ends, nothing stays leased that could be given back."""

    def __init__(self, engine: Engine, store: QueueStore, queue: str, lanes: Lanes) -> None:
        self._engine = engine
        self._store = store
        self._queue = queue
        self._lanes = lanes
        self._held: list[_Held] = []
        self._leaving = False

    async def work(self) -> bool:
        """Lease about an item a lane, do them, give their results, and keep what was learned where they count.

        Says whether there were any. When cancelled, or when something is missing to do them, items go back unharmed.
        """
        try:
            await self._lease()
            if self._held:
                await self._do_and_complete()
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

    async def _lease(self) -> None:
        while (missing := len(self._lanes) - sum(held.chunk.items for held in self._held)) > 0:
            wanted = min(-(-missing // CHUNK_ITEMS), MOST_CHUNKS)
            lease = await self._store.lease(self._queue, wanted, VISIBILITY_MS)
            leased = [_Held(lease.token, chunk) for chunk in lease.chunks]
            self._held += leased
            for held in leased:
                await self._read(held)
            if len(lease.chunks) < wanted:
                break

    async def _read(self, held: _Held) -> None:
        """Take the items out of a chunk, or fail it alone when they are none that the lanes can do."""
        try:
            held.items = ItemBatch.load(held.chunk.payload)
            self._lanes.check(held.items)
        except (PluresError, DecodeError) as error:
            await self._store.fail(self._queue, held.token, [held.chunk.id], str(error))
            self._held.remove(held)

    async def _do_and_complete(self) -> None:
        renewing = asyncio.create_task(self._renew())
        try:
            await self._do_all()
            # Results that count and learning that is kept belong together.
            await to_its_end(self._complete(), hasten=self._leave)
        finally:
            renewing.cancel()

    def _leave(self) -> None:
        self._leaving = True

    async def _do_all(self) -> None:
        by_task: defaultdict[str, list[_Held]] = defaultdict(list)
        for held in self._held:
            by_task[_items(held).task].append(held)
        for group in by_task.values():
            await self._do(group)

    async def _do(self, group: list[_Held]) -> None:
        items = ItemBatch.join([_items(held) for held in group])
        # Most steps first: who is done falls off the end of the wave, and batches are of like length.
        order_N = np.argsort(-items.steps_N.astype(np.int64), kind="stable")
        lane_N = np.empty(len(items), np.int64)
        summaries = []
        for first in range(0, len(items), len(self._lanes)):
            rows = order_N[first : first + len(self._lanes)]
            lane_N[rows] = np.arange(len(rows))
            summaries.append(await self._lanes.do(self._engine, items.rows(rows)))
        summary_NM = np.empty((len(items), summaries[0].shape[1]), np.float32)
        summary_NM[order_N] = np.concatenate(summaries)
        ends = np.cumsum([len(_items(held)) for held in group])[:-1]
        for held, lanes, summary in zip(group, np.split(lane_N, ends), np.split(summary_NM, ends), strict=True):
            held.lane_N, held.summary_NM = lanes, summary

    async def _complete(self) -> None:
        by_token: defaultdict[str, list[_Held]] = defaultdict(list)
        for held in self._held:
            by_token[held.token].append(held)
        useful_L = np.ones(len(self._lanes), np.bool_)
        for token, group in by_token.items():
            accepted = await self._accepted(token, [(held.chunk.id, self._result(held)) for held in group])
            for held in group:
                if held.chunk.id not in accepted:
                    useful_L[held.lane_N] = False
        self._held.clear()
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

    def _result(self, held: _Held) -> bytes:
        assert held.summary_NM is not None
        assert held.lane_N is not None
        return queue_pb2.ResultsResponse(
            item=tensor_to(_items(held).item_N),
            summary=tensor_to(held.summary_NM),
            cohort=f"cohorts/{self._lanes.cohort.name}",
            ordinal=tensor_to(self._lanes.ordinals[held.lane_N].astype(np.uint32)),
        ).SerializeToString()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(VISIBILITY_MS / 3000)
            for held in list(self._held):
                # What cannot be renewed may be done by others as well; then ours will not count.
                with contextlib.suppress(QueueUnavailable):
                    await self._store.renew(self._queue, held.token, [held.chunk.id], VISIBILITY_MS)

    async def _give_back(self, error: str | None) -> None:
        """Drop what the lanes learned, and return the chunks: as failed when there was an error, else unharmed."""
        held_before, self._held = self._held, []
        await self._engine.give_back(lambda pool: self._lanes.drop())
        for held in held_before:
            if error is None:
                await self._store.release(self._queue, held.token, [held.chunk.id])
            else:
                await self._store.fail(self._queue, held.token, [held.chunk.id], error)


def _items(held: _Held) -> ItemBatch:
    assert held.items is not None
    return held.items
