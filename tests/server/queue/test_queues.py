"""Queues as a whole: their names, their beginning and their end."""

import pytest
from plures_server.errors import InvalidArgument, UnknownQueue
from plures_server.queue.chunks import Enqueued, Lease, Result
from plures_server.queue.store import QueueStore
from redis.asyncio import Redis

from .conftest import SERVERS
from .helpers import chunks, complete_all, ids


def test_each_kind_of_server_is_asked() -> None:
    if len(SERVERS) == 1:
        pytest.skip("redis-server is not on PATH: what a queue promises is shown on Valkey alone")
    assert {server.name for server in SERVERS} == {"valkey-server", "redis-server"}


async def test_what_nobody_put_is_unknown(store: QueueStore, redis: Redis) -> None:
    for ask in (store.stats, store.delete):
        with pytest.raises(UnknownQueue, match="no queue 'ghost'"):
            await ask("ghost")
    assert await store.lease("ghost", 5, 1_000) == Lease("", ())
    assert await store.renew("ghost", "token", ["1:1"], 1_000) == frozenset()
    assert await store.complete("ghost", "token", [Result("1:1", b"")]) == frozenset()
    assert await store.results("ghost", "", 5) == []
    assert await store.dead_chunks("ghost", 5) == []
    assert await store.queues() == []
    assert await redis.dbsize() == 0


async def test_a_deleted_queue_leaves_nothing(store: QueueStore, redis: Redis) -> None:
    await store.enqueue("kept", "submit", chunks(1))
    kept = await redis.dbsize()
    await store.enqueue("q", "submit", chunks(*[1] * 6))
    for _ in range(3):
        failing = await store.lease("q", 2, 1_000)
        await store.fail("q", failing.token, ids(failing), "no")
    await complete_all(store, "q", await store.lease("q", 1, 1_000))
    await store.lease("q", 1, 1_000)
    await store.delete("q")
    assert await redis.dbsize() == kept
    assert await store.queues() == ["kept"]


async def test_a_lease_on_a_deleted_queue_holds_nothing_of_its_successor(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(5))
    old = await store.lease("q", 1, 1_000)
    await store.delete("q")
    assert await store.enqueue("q", "submit", chunks(5)) == Enqueued(5, duplicate=False)
    new = await store.lease("q", 1, 1_000)
    assert ids(new) == ids(old)
    assert await complete_all(store, "q", old) == []
    assert await complete_all(store, "q", new) == ids(new)


async def test_queues_are_listed_by_name(store: QueueStore) -> None:
    for queue in ("b", "c-1", "a"):
        await store.enqueue(queue, "submit", chunks(1))
    assert await store.queues() == ["a", "b", "c-1"]


async def test_a_server_that_forgot_its_scripts_is_told_them_again(store: QueueStore, redis: Redis) -> None:
    await store.enqueue("q", "one", chunks(1))
    await redis.script_flush()
    assert await store.enqueue("q", "two", chunks(1)) == Enqueued(1, duplicate=False)


@pytest.mark.parametrize("queue", ["", "Q", "1q", "q_1", "q}{", "q" * 64, "q\n", "plures:{q}:ready"])
async def test_what_is_no_name_is_no_queue(store: QueueStore, queue: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a name"):
        await store.enqueue(queue, "submit", chunks(1))
