"""`python crashing_workers.py URL WORKERS`: workers that are killed or stopped at random, and replaced or woken.

Prints a line for each death and each stop, until it is killed itself. Workers are forked, so that a new one costs
milliseconds.
"""

import asyncio
import os
import random
import signal
import sys
import time

import numpy as np
from numpy.typing import NDArray
from plures_server.errors import QueueUnavailable
from plures_server.queue.chunks import Child, Chunk, LeasedChunk, Result, depth_of
from plures_server.queue.store import QueueConfig, QueueStore

VISIBILITY_MS = 150
CONFIG = QueueConfig(max_attempts=1_000, attempts_whole=4)
CRASH, STALL, KILL, STOP = 0.02, 0.04, 0.1, 0.05
GENERATIONS = 2
ONE_IN = 4
"""Of the items of each generation but the last, one in so many asks for another."""
GENERATION = np.uint64(1 << 40)


def items_of(chunk: LeasedChunk) -> NDArray[np.uint64]:
    return np.frombuffer(chunk.payload, np.uint64)[chunk.rows]


def result_of(chunk: LeasedChunk) -> Result:
    """A chunk's items are its result; some ask for a child, which goes by the parent's number a generation on."""
    items = items_of(chunk)
    asking = items[items % np.uint64(ONE_IN) == 0] + GENERATION
    has_children = len(asking) > 0 and depth_of(chunk.id) < GENERATIONS
    return Result(chunk.id, items.tobytes(), [Child(Chunk(asking.tobytes(), len(asking)))] if has_children else [])


async def work(url: str) -> None:
    """Do the items of queue `q`; die or stall now and then at the worst moments."""
    async with QueueStore(url, CONFIG) as store:
        while True:
            try:
                await _work_one_lease(store)
            except QueueUnavailable:
                await asyncio.sleep(0.05)


async def _work_one_lease(store: QueueStore) -> None:
    lease = await store.lease("q", 4, VISIBILITY_MS)
    if not lease.chunks:
        await asyncio.sleep(0.02)
        return
    _perhaps_die()
    if random.random() < STALL:
        await asyncio.sleep(1.5 * VISIBILITY_MS / 1_000)
    await store.complete("q", lease.token, list(map(result_of, lease.chunks)))
    _perhaps_die()


def _perhaps_die() -> None:
    if random.random() < CRASH:
        os.kill(os.getpid(), signal.SIGKILL)


def start_worker(url: str) -> int:
    if pid := os.fork():
        return pid
    random.seed(os.getpid())
    asyncio.run(work(url))
    os._exit(1)


def main(url: str, workers: int) -> None:
    alive = {start_worker(url) for _ in range(workers)}
    # However short the work is, there is a blow of each kind.
    _stop_for_a_while(min(alive))
    os.kill(max(alive), signal.SIGKILL)
    while True:
        time.sleep(random.uniform(0, 0.1))
        if random.random() < STOP:
            _stop_for_a_while(random.choice(list(alive)))
        if random.random() < KILL:
            os.kill(random.choice(list(alive)), signal.SIGKILL)
        for dead in [pid for pid in alive if os.waitpid(pid, os.WNOHANG)[0]]:
            print("died", dead, flush=True)
            alive ^= {dead, start_worker(url)}


def _stop_for_a_while(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    print("stopped", pid, flush=True)
    time.sleep(1.5 * VISIBILITY_MS / 1_000)
    os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
