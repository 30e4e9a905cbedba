"""Items per second through a work queue on an embedded Valkey: put, leased, completed, one call after the other.

Correctness first: every item must come back as exactly one result. The peer, in the same run on the same server, is a
Redis stream with a consumer group. It promises less: who lost a lease may still acknowledge, and what was put twice
is there twice.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import click
import numpy as np
from common import machine, write_json
from plures_server.queue.chunks import Chunk, Result
from plures_server.queue.embedded import EmbeddedConfig, EmbeddedValkey
from plures_server.queue.store import QueueStore
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

Fsync = Literal["always", "everysec"]
Cycle = Callable[[int], Awaitable[None]]

CHUNK_ITEMS = (1, 64, 256, 1024)
CHUNKS_A_CALL = 50
ITEM_BYTES, RESULT_BYTES = 28, 16
"""Of an item with two parameters, and of its result with one summary."""
SECONDS = 0.5
"""About how long each measurement goes on; the best of ROUNDS counts."""
ROUNDS = 3


@dataclass(frozen=True)
class Row:
    """One chunk size. `alone_ms` is one chunk by itself: put, leased and completed in three calls."""

    chunk_items: int
    fsync: Fsync
    items_per_second: float
    stream_items_per_second: float
    alone_ms: float


def queue_cycle(store: QueueStore, chunk_items: int, chunks: int) -> Cycle:
    """Ours: put, lease and complete as many chunks, in a call each."""
    put = [Chunk(bytes(ITEM_BYTES * chunk_items), chunk_items)] * chunks
    result = bytes(RESULT_BYTES * chunk_items)

    async def cycle(number: int) -> None:
        await store.enqueue("bench", f"{chunk_items} {chunks} {number}", put)
        lease = await store.lease("bench", chunks, visibility_ms=60_000)
        accepted = await store.complete("bench", lease.token, [Result(chunk.id, result) for chunk in lease.chunks])
        assert len(accepted) == chunks

    return cycle


def stream_cycle(redis: Redis, chunk_items: int, chunks: int) -> Cycle:
    """The peer: the same with a consumer group, the commands of a call in one pipeline."""
    put, result = bytes(ITEM_BYTES * chunk_items), bytes(RESULT_BYTES * chunk_items)

    async def cycle(number: int) -> None:
        async with redis.pipeline(transaction=False) as pipeline:
            for _ in range(chunks):
                pipeline.xadd("peer", {"p": put})
            await pipeline.execute()
        streams: Any = await redis.xreadgroup("group", "worker", {"peer": ">"}, count=chunks)
        ids = [id_ for _, entries in streams for id_, _ in entries]
        async with redis.pipeline(transaction=True) as pipeline:
            pipeline.xack("peer", "group", *ids)
            pipeline.xdel("peer", *ids)
            for _ in ids:
                pipeline.xadd("peer results", {"r": result})
            acknowledged, *_ = await pipeline.execute()
        assert acknowledged == chunks

    return cycle


async def cycles_per_second(cycle: Cycle) -> float:
    """How often it runs, one at a time."""
    number, began = 0, time.perf_counter()
    while (seconds := time.perf_counter() - began) < SECONDS:
        await cycle(number)
        number += 1
    return number / seconds


async def measure(url: str, fsync: Fsync, chunk_items: int) -> Row:
    """Ours and the peer in turn, each on an empty server."""
    ours, peers, alone = [], [], []
    async with QueueStore(url) as store, Redis.from_url(url, protocol=2) as redis:
        for _ in range(ROUNDS):
            await redis.flushall()
            await redis.xgroup_create("peer", "group", id="0", mkstream=True)
            ours.append(await cycles_per_second(queue_cycle(store, chunk_items, CHUNKS_A_CALL)))
            peers.append(await cycles_per_second(stream_cycle(redis, chunk_items, CHUNKS_A_CALL)))
            alone.append(await cycles_per_second(queue_cycle(store, chunk_items, 1)))
    items = chunk_items * CHUNKS_A_CALL
    return Row(chunk_items, fsync, items * max(ours), items * max(peers), 1e3 / max(alone))


async def check(url: str, items: int = 10_000, chunk_items: int = 64) -> None:
    """Raise unless every item, submitted twice, has exactly one result."""
    whole = np.arange(items, dtype="<u8")
    parts = np.split(whole, range(chunk_items, items, chunk_items))
    chunks = [Chunk(part.tobytes(), len(part)) for part in parts]
    async with QueueStore(url) as store:
        for _ in range(2):
            await store.enqueue("check", "once", chunks)
        while (lease := await store.lease("check", 50, visibility_ms=60_000)).chunks:
            await store.complete("check", lease.token, [Result(chunk.id, chunk.payload) for chunk in lease.chunks])
        results = b"".join(payload for _, payload in await store.results("check", "", items))
    if not np.array_equal(np.sort(np.frombuffer(results, "<u8")), whole):
        raise click.ClickException("items were lost or done twice; no use to time that")


async def run(fsyncs: tuple[Fsync, ...]) -> list[Row]:
    """All chunk sizes, a fresh server for each way to flush."""
    rows = []
    for fsync in fsyncs:
        with TemporaryDirectory() as folder:
            async with EmbeddedValkey(Path(folder), EmbeddedConfig(fsync=fsync)) as valkey:
                await check(valkey.url)
                rows += [await measure(valkey.url, fsync, chunk_items) for chunk_items in CHUNK_ITEMS]
    return rows


@click.command()
@click.option("--fsync", type=click.Choice(get_args(Fsync)), multiple=True, default=get_args(Fsync))
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(fsync: tuple[Fsync, ...], json_path: Path | None) -> None:
    """Measure the queue store at several chunk sizes."""
    rows = asyncio.run(run(fsync))
    table = Table("items a chunk", "fsync", "items/s", "stream's items/s", "ratio", "one chunk, ms", title=machine())
    for row in rows:
        ratio = f"{row.items_per_second / row.stream_items_per_second:.2f}"
        figures = (f"{row.items_per_second:,.0f}", f"{row.stream_items_per_second:,.0f}", ratio, f"{row.alone_ms:.2f}")
        table.add_row(f"{row.chunk_items:,}", row.fsync, *figures)
    Console().print(table)
    if json_path:
        write_json(json_path, "queue", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
