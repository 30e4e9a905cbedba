"""Workers and the server are killed at random while they work: every item still has exactly one result."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from plures_server.queue.chunks import Chunk
from plures_server.queue.embedded import EmbeddedValkey
from plures_server.queue.store import QueueStore

from . import crashing_workers
from .helpers import wait_until

CHUNK_ITEMS, CHUNKS = 50, 20


async def test_a_hundred_thousand_items_outlive_their_workers(tmp_path: Path) -> None:
    await _check_that_each_item_has_one_result(tmp_path, submissions=100, server_kills=3, least_deaths=10)


@pytest.mark.soak
async def test_five_million_items_outlive_their_workers(tmp_path: Path) -> None:
    await _check_that_each_item_has_one_result(tmp_path, submissions=5_000, server_kills=50, least_deaths=500)


async def _check_that_each_item_has_one_result(
    folder: Path, submissions: int, server_kills: int, least_deaths: int
) -> None:
    expected = submissions * CHUNK_ITEMS * CHUNKS
    async with EmbeddedValkey(folder / "queue") as valkey, QueueStore(valkey.url) as store:
        with _crashing_workers(valkey.url, folder / "deaths") as deaths:
            async with asyncio.TaskGroup() as tasks:
                keeper = tasks.create_task(valkey.keep_running())
                tasks.create_task(_submit(store, submissions))
                killing = tasks.create_task(_kill_at_work(valkey, store, expected, server_kills))
                items = await _read_until_all_is_done(store, expected)
                await killing
                keeper.cancel()
        stats = await store.stats("q")
    counted = Counter(items)
    assert counted.most_common(1)[0][1] == 1
    assert len(counted) == expected
    assert (stats.ready, stats.leased, stats.done, stats.dead) == (0, 0, expected, 0)
    assert len(deaths.read_text().splitlines()) >= least_deaths


async def _submit(store: QueueStore, submissions: int) -> None:
    items = np.arange(submissions * CHUNKS * CHUNK_ITEMS, dtype=np.uint64).reshape(submissions, CHUNKS, CHUNK_ITEMS)
    for number, submission in enumerate(items):
        for _ in range(2):
            await store.enqueue("q", f"submission {number}", [Chunk(row.tobytes(), CHUNK_ITEMS) for row in submission])


async def _kill_at_work(valkey: EmbeddedValkey, store: QueueStore, expected: int, times: int) -> None:
    for kill in range(1, times + 1):

        async def is_far_enough(items: int = expected * kill // (times + 1)) -> bool:
            return await _done(store) > items

        await wait_until(is_far_enough, timeout_s=120)
        assert valkey.pid
        os.kill(valkey.pid, signal.SIGKILL)


async def _read_until_all_is_done(store: QueueStore, expected: int) -> list[int]:
    items: list[int] = []
    cursor = ""
    while True:
        # What is counted as done is in the feed already.
        is_over = await _done(store) >= expected
        while results := await store.results("q", cursor, 1_000, block_ms=100):
            cursor = results[-1][0]
            items += [item for _, payload in results for item in np.frombuffer(payload, np.uint64).tolist()]
        if is_over:
            return items


async def _done(store: QueueStore) -> int:
    return (await store.stats("q")).done if await store.queues() else 0


@contextmanager
def _crashing_workers(url: str, deaths: Path) -> Iterator[Path]:
    command = [sys.executable, crashing_workers.__file__, url, "2"]
    with deaths.open("wb") as output, subprocess.Popen(command, stdout=output, start_new_session=True) as workers:
        try:
            yield deaths
        finally:
            os.killpg(workers.pid, signal.SIGKILL)
