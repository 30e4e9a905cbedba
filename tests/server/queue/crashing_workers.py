"""`python crashing_workers.py URL WORKERS`: workers that are killed at random and replaced.

Prints a line for each death, until it is killed itself. Workers are forked, so that a new one costs milliseconds.
"""

import asyncio
import os
import random
import signal
import sys
import time

from plures_server.errors import QueueUnavailable
from plures_server.queue.chunks import Result
from plures_server.queue.store import QueueConfig, QueueStore

VISIBILITY_MS = 150
CONFIG = QueueConfig(max_attempts=1_000)
CRASH, STALL, KILL = 0.02, 0.04, 0.1


async def work(url: str) -> None:
    """Give every item of queue `q` back as its own result; die or stall now and then at the worst moments."""
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
    await store.complete("q", lease.token, [Result(chunk.id, chunk.payload) for chunk in lease.chunks])
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
    while True:
        time.sleep(random.uniform(0, 0.1))
        if random.random() < KILL:
            os.kill(random.choice(list(alive)), signal.SIGKILL)
        for dead in [pid for pid in alive if os.waitpid(pid, os.WNOHANG)[0]]:
            print(dead, flush=True)
            alive ^= {dead, start_worker(url)}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
