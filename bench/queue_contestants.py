"""Ours and its peers, each doing the same: chunks put on a queue, taken, done, their results kept."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from plures_server.queue.chunks import Chunk, Result
from plures_server.queue.store import QueueStore
from redis.asyncio import Redis

ITEM_BYTES, RESULT_BYTES = 28, 16
"""Of an item with two parameters, and of its result with one summary."""


@dataclass(frozen=True)
class Cycle:
    """Seconds that all chunks took in each part; for who takes and completes them in one, that is `lease`."""

    enqueue: float
    lease: float
    complete: float

    @property
    def seconds(self) -> float:
        return self.enqueue + self.lease + self.complete


Contestant = Callable[[int], Awaitable[Cycle]]
"""Does its n-th cycle."""


def ours(store: QueueStore, chunk_items: int, chunks: int) -> Contestant:
    """Put, lease and complete the chunks in a call each: fenced, idempotent, by fair shares."""
    put = [Chunk(bytes(ITEM_BYTES * chunk_items), chunk_items)] * chunks
    result = bytes(RESULT_BYTES * chunk_items)

    async def cycle(number: int) -> Cycle:
        began = time.perf_counter()
        await store.enqueue("bench", f"{chunk_items} {chunks} {number}", put)
        queued = time.perf_counter()
        lease = await store.lease("bench", chunks, visibility_ms=60_000)
        leased = time.perf_counter()
        accepted = await store.complete("bench", lease.token, [Result(chunk.id, result) for chunk in lease.chunks])
        assert len(accepted) == chunks
        return Cycle(queued - began, leased - queued, time.perf_counter() - leased)

    return cycle


def stream(redis: Redis, chunk_items: int, chunks: int) -> Contestant:
    """A stream and a consumer group, the commands of a call in one pipeline.

    It promises less: who lost a lease may still acknowledge, and what was put twice is there twice.
    """
    put, result = bytes(ITEM_BYTES * chunk_items), bytes(RESULT_BYTES * chunk_items)

    async def cycle(number: int) -> Cycle:
        began = time.perf_counter()
        async with redis.pipeline(transaction=False) as pipeline:
            for _ in range(chunks):
                pipeline.xadd("peer", {"p": put})
            await pipeline.execute()
        queued = time.perf_counter()
        streams: Any = await redis.xreadgroup("group", "worker", {"peer": ">"}, count=chunks)
        ids = [id_ for _, entries in streams for id_, _ in entries]
        leased = time.perf_counter()
        async with redis.pipeline(transaction=True) as pipeline:
            pipeline.xack("peer", "group", *ids)
            pipeline.xdel("peer", *ids)
            for _ in ids:
                pipeline.xadd("peer results", {"r": result})
            acknowledged, *_ = await pipeline.execute()
        assert acknowledged == chunks
        return Cycle(queued - began, leased - queued, time.perf_counter() - leased)

    return cycle


@asynccontextmanager
async def docket(url: str, chunk_items: int, chunks: int) -> AsyncIterator[Contestant]:
    """pydocket, a task a chunk: put once by its key, redelivered when its worker dies, its state kept a while."""
    # Not among what developers need: `pip install pydocket`.
    from docket import Docket, Worker

    payload, result = bytes(ITEM_BYTES * chunk_items), bytes(RESULT_BYTES * chunk_items)
    done = 0

    async def work(given: bytes) -> bytes:
        nonlocal done
        done += 1
        return result

    async with Docket(name=f"bench-{chunk_items}-{chunks}", url=url) as queue:
        queue.register(work)
        often = timedelta(milliseconds=1)
        async with Worker(queue, concurrency=chunks, minimum_check_interval=often) as worker:

            async def cycle(number: int) -> Cycle:
                before, began = done, time.perf_counter()
                await asyncio.gather(*(queue.add(work, key=f"{number}-{place}")(payload) for place in range(chunks)))
                queued = time.perf_counter()
                await worker.run_until_finished()
                assert done - before == chunks
                return Cycle(queued - began, time.perf_counter() - queued, 0.0)

            yield cycle
