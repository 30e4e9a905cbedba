"""Items per second through a work queue on an embedded Valkey: put, leased, completed, one call after the other.

Correctness first: every item must come back as exactly one result. The peers, in the same run on the same server, are
pydocket and a plain Redis stream with a consumer group, which promises less (`queue_contestants.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

import click
import numpy as np
from common import machine, write_json
from plures_server.queue.chunks import Chunk, Result
from plures_server.queue.embedded import EmbeddedConfig, EmbeddedValkey
from plures_server.queue.store import QueueStore
from queue_contestants import Contestant, Cycle, docket, ours, stream
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

Fsync = Literal["always", "everysec"]

CHUNK_ITEMS = (1, 4, 16, 64, 256, 1024)
CHUNKS_A_CALL = 50
SECONDS = 0.2
"""About how long each contestant goes on in a round; the best of ROUNDS counts."""
ROUNDS = 3


@dataclass(frozen=True)
class Row:
    """One chunk size; rates in items per second. `alone_ms` is one chunk by itself: put, leased and completed.

    The parts of `cycle` are of the same cycles. `docket` is None where pydocket is not installed.
    """

    chunk_items: int
    fsync: Fsync
    enqueue: float
    lease: float
    complete: float
    cycle: float
    stream: float
    docket: float | None
    alone_ms: float


async def best(contestant: Contestant, first: int) -> Cycle:
    """The mean cycle of about SECONDS of them, one at a time."""
    cycles: list[Cycle] = []
    while not cycles or sum(cycle.seconds for cycle in cycles) < SECONDS:
        cycles.append(await contestant(first + len(cycles)))
    parts = ((cycle.enqueue, cycle.lease, cycle.complete) for cycle in cycles)
    return Cycle(*np.mean(list(parts), axis=0).tolist())


@asynccontextmanager
async def contestants(url: str, chunk_items: int) -> AsyncIterator[dict[str, Contestant]]:
    """All that are there, each on its own keys."""
    async with QueueStore(url) as store, Redis.from_url(url, protocol=2) as redis:
        await redis.flushall()
        await redis.xgroup_create("peer", "group", id="0", mkstream=True)
        present = {
            "ours": ours(store, chunk_items, CHUNKS_A_CALL),
            "stream": stream(redis, chunk_items, CHUNKS_A_CALL),
            "alone": ours(store, chunk_items, 1),
        }
        if find_spec("docket") is None:
            yield present
            return
        async with docket(url, chunk_items, CHUNKS_A_CALL) as peer:
            yield present | {"docket": peer}


async def measure(url: str, fsync: Fsync, chunk_items: int) -> Row:
    """All in turn, so that they meet the same neighbours on the machine."""
    found: dict[str, Cycle] = {}
    async with contestants(url, chunk_items) as present:
        for number in range(ROUNDS):
            for name, contestant in present.items():
                cycle = await best(contestant, number * 1_000_000)
                found[name] = min(found.get(name, cycle), cycle, key=lambda cycle: cycle.seconds)
    items, mine = chunk_items * CHUNKS_A_CALL, found["ours"]
    peer = items / found["docket"].seconds if "docket" in found else None
    parts = (items / mine.enqueue, items / mine.lease, items / mine.complete, items / mine.seconds)
    return Row(chunk_items, fsync, *parts, items / found["stream"].seconds, peer, 1e3 * found["alone"].seconds)


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


def table(rows: list[Row]) -> Table:
    """For people to read."""
    columns = (
        "items a chunk",
        "fsync",
        "enqueue/s",
        "lease/s",
        "complete/s",
        "cycle/s",
        "stream's",
        "docket's",
        "one, ms",
    )
    shown = Table(*columns, title=machine())
    for row in rows:
        rates = (row.enqueue, row.lease, row.complete, row.cycle, row.stream, row.docket)
        shown.add_row(
            f"{row.chunk_items:,}",
            row.fsync,
            *("–" if rate is None else f"{rate:,.0f}" for rate in rates),
            f"{row.alone_ms:.2f}",
        )
    return shown


@click.command()
@click.option("--fsync", type=click.Choice(get_args(Fsync)), multiple=True, default=get_args(Fsync))
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(fsync: tuple[Fsync, ...], json_path: Path | None) -> None:
    """Measure the queue store at several chunk sizes."""
    rows = asyncio.run(run(fsync))
    Console().print(table(rows))
    if json_path:
        write_json(json_path, "queue", [asdict(row) for row in rows], chunks_a_call=CHUNKS_A_CALL)


if __name__ == "__main__":
    main()
