"""Items, and what has become of them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from plures.v1 import queue_pb2
from plures_server.attachments import Attachment, Attachments
from plures_server.engine import Engine
from plures_server.queue.items import ItemBatch
from plures_server.queue.store import QueueStore
from plures_server.rpc.convert import array_from

Summaries = dict[int, list[float]]


def batch(count: int, steps: int | Sequence[int] = 3, first: int = 0, task: str = "bandit") -> ItemBatch:
    """Items first, first + 1, …, each a bandit and a seed of its own."""
    item_N = np.arange(first, first + count, dtype=np.uint64)
    rate_N = (item_N * 37 % 101 / 100).astype(np.float32)
    return ItemBatch(task, item_N, np.stack([rate_N, 1 - rate_N], 1), item_N * 7919, np.full(count, steps, np.uint32))


async def put(store: QueueStore, queue: str, items: ItemBatch, chunk_items: int = 256) -> None:
    submission = f"{items.task}-{items.item_N[0]}-{len(items)}-{np.random.default_rng().integers(2**62)}"
    await store.enqueue(queue, submission, items.split(chunk_items))


async def result_messages(store: QueueStore, queue: str) -> list[queue_pb2.ResultsResponse]:
    found = await store.results(queue, "", limit=100_000)
    return [queue_pb2.ResultsResponse.FromString(payload) for _, payload in found]


async def results(store: QueueStore, queue: str) -> Summaries:
    """Each item's summary; fails when an item has two results."""
    summaries: Summaries = {}
    for message in await result_messages(store, queue):
        for item, summary in zip(array_from(message.item, ""), array_from(message.summary, ""), strict=True):
            assert int(item) not in summaries, f"item {item} has two results"
            summaries[int(item)] = summary.tolist()
    return summaries


def has(store: QueueStore, queue: str, **counts: int) -> Callable[[], Any]:
    async def fact() -> bool:
        stats = await store.stats(queue)
        return all(getattr(stats, name) >= count for name, count in counts.items())

    return fact


def attachment(queue: str, cohort: str = "joe", keep_learning: bool = False) -> Attachment:
    return Attachment(queue, cohort, keep_learning)


async def is_free(engine: Engine, cohort: str = "joe") -> bool:
    return not await engine.call(lambda pool: pool.get(cohort).busy.any())


def waits_for_news(attachments: Attachments) -> Callable[[], Any]:
    async def all_wait() -> bool:
        return all(worker.news._waiters for worker in attachments._workers.values())

    return all_wait


async def let_others_go_on() -> None:
    """Return when whoever waits for nothing but its turn has had a few."""
    for _ in range(9):
        await asyncio.sleep(0)
