"""Workers and the server are killed and stopped at random while items ask for items: each has exactly one result."""

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
from numpy.typing import NDArray
from plures_server.queue.chunks import Chunk
from plures_server.queue.connection import ConnectionConfig
from plures_server.queue.embedded import EmbeddedValkey
from plures_server.queue.store import QueueStore

from . import crashing_workers
from .crashing_workers import GENERATION, GENERATIONS
from .helpers import wait_until

CHUNK_ITEMS, CHUNKS = 50, 20
# The store is struck while this machine does much else.
PATIENT = ConnectionConfig(patience_s=120)


async def test_tens_of_thousands_of_items_outlive_their_workers(tmp_path: Path) -> None:
    await _check_that_each_item_has_one_result(tmp_path, submissions=25, server_blows=2, least_deaths=2)


@pytest.mark.soak
async def test_millions_of_items_outlive_their_workers(tmp_path: Path) -> None:
    await _check_that_each_item_has_one_result(tmp_path, submissions=1_000, server_blows=40, least_deaths=300)


async def _check_that_each_item_has_one_result(
    folder: Path, submissions: int, server_blows: int, least_deaths: int
) -> None:
    roots = np.arange(submissions * CHUNKS * CHUNK_ITEMS, dtype=np.uint64)
    asking = roots[roots % crashing_workers.ONE_IN == 0]
    expected = np.concatenate([roots, *(asking + np.uint64(g) * GENERATION for g in range(1, GENERATIONS + 1))])
    async with EmbeddedValkey(folder / "queue") as valkey, QueueStore(valkey.url, connection=PATIENT) as store:
        with _crashing_workers(valkey.url, folder / "blows") as blows:
            async with asyncio.TaskGroup() as tasks:
                keeper = tasks.create_task(valkey.keep_running())
                tasks.create_task(_submit(store, roots.reshape(submissions, CHUNKS, CHUNK_ITEMS)))
                striking = tasks.create_task(_strike_at_work(valkey, store, len(expected), server_blows))
                items = await _read_until_all_is_done(store, len(expected))
                await striking
                keeper.cancel()
        stats = await store.stats("q")
    np.testing.assert_array_equal(np.sort(items), np.sort(expected))
    assert (stats.ready, stats.leased, stats.done, stats.dead) == (0, 0, len(expected), 0)
    struck = Counter(line.split()[0] for line in blows.read_text().splitlines())
    assert struck["died"] >= least_deaths
    assert struck["stopped"] >= 1


async def _submit(store: QueueStore, submissions: NDArray[np.uint64]) -> None:
    for number, submission in enumerate(submissions):
        for _ in range(2):
            await store.enqueue("q", f"submission {number}", [Chunk(row.tobytes(), CHUNK_ITEMS) for row in submission])


async def _strike_at_work(valkey: EmbeddedValkey, store: QueueStore, expected: int, blows: int) -> None:
    """Kill the server, and stop it for longer than a lease, in turn."""
    for blow in range(1, blows + 1):

        async def is_far_enough(items: int = expected * blow // (blows + 1)) -> bool:
            return await _done(store) > items

        await wait_until(is_far_enough, timeout_s=900)
        assert valkey.pid
        if blow % 2:
            os.kill(valkey.pid, signal.SIGKILL)
        else:
            os.kill(valkey.pid, signal.SIGSTOP)
            await asyncio.sleep(2 * crashing_workers.VISIBILITY_MS / 1_000)
            os.kill(valkey.pid, signal.SIGCONT)


async def _read_until_all_is_done(store: QueueStore, expected: int) -> NDArray[np.uint64]:
    items: list[NDArray[np.uint64]] = []
    cursor = ""
    while True:
        # What is counted as done is in the feed already.
        is_over = await _done(store) >= expected
        while results := await store.results("q", cursor, 1_000, block_ms=100):
            cursor = results[-1][0]
            items += [np.frombuffer(payload, np.uint64) for _, payload in results]
        if is_over:
            return np.concatenate(items)


async def _done(store: QueueStore) -> int:
    return (await store.stats("q")).done if await store.queues() else 0


@contextmanager
def _crashing_workers(url: str, blows: Path) -> Iterator[Path]:
    command = [sys.executable, crashing_workers.__file__, url, "2"]
    with blows.open("wb") as output, subprocess.Popen(command, stdout=output, start_new_session=True) as workers:
        try:
            yield blows
        finally:
            os.killpg(workers.pid, signal.SIGKILL)
