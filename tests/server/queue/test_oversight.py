"""Cancelled items, and dead ones that get another life."""

import pytest
from plures_server.errors import UnknownSubmission
from plures_server.queue.chunks import Chunk, Terms
from plures_server.queue.keys import QueueKeys
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .helpers import chunks, complete_all, ids


async def test_a_cancelled_submission_is_gone_whether_it_waits_or_is_under_way(store: QueueStore) -> None:
    await store.enqueue("q", "doomed", chunks(1, 2, 4), Terms(priority=1))
    await store.enqueue("q", "kept", chunks(8))
    lease = await store.lease("q", 2, 1_000)
    assert await store.cancel("q", "doomed") == 7
    stats = await store.stats("q")
    assert (stats.ready, stats.leased, stats.cancelled) == (8, 0, 7)
    assert await store.renew("q", lease.token, ids(lease), 1_000) == frozenset()
    assert await complete_all(store, "q", lease) == []
    assert await store.results("q", "", 9) == []
    assert [chunk.items for chunk in (await store.lease("q", 9, 1_000)).chunks] == [8]
    assert await store.cancel("q", "doomed") == 0


async def test_halves_and_items_that_failed_are_cancelled_too(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(attempts_whole=1)) as store:
        await store.enqueue("q", "doomed", chunks(5, 1))
        lease = await store.lease("q", 2, 60_000)
        await store.fail("q", lease.token, ids(lease), "no")
        await store.lease("q", 1, 60_000)
        assert await store.cancel("q", "doomed") == 6
        assert not (await store.lease("q", 9, 60_000)).chunks
        parts = {key.decode().rpartition(":")[2] async for key in redis.scan_iter()}
        assert parts == {"counts", "submits", "submit_order"}


async def test_all_items_are_cancelled_at_once_and_the_queue_lives_on(store: QueueStore) -> None:
    for number in range(3):
        await store.enqueue("q", f"{number}", chunks(*[1] * 300))
    held = await store.lease("q", 200, 1_000)
    done, rest = ids(held)[:150], ids(held)[150:]
    await store.fail("q", held.token, done, "again, please")
    assert await store.cancel("q") == 900
    assert await store.renew("q", held.token, rest, 1_000) == frozenset()
    await store.enqueue("q", "more", chunks(2))
    stats = await store.stats("q")
    assert (stats.ready, stats.leased, stats.cancelled) == (2, 0, 900)


async def test_what_is_done_is_not_cancelled(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(1, 2))
    await complete_all(store, "q", await store.lease("q", 1, 1_000))
    assert await store.cancel("q", "submit") == 2
    assert (await store.stats("q")).done == 1


async def test_a_submission_that_never_was_cannot_be_cancelled(store: QueueStore, redis: Redis) -> None:
    with pytest.raises(UnknownSubmission, match="'q' remembers no submission 'ghost'"):
        await store.cancel("q", "ghost")
    assert await store.cancel("q") == 0
    assert await redis.dbsize() == 0


async def test_dead_items_get_another_life_with_all_its_attempts(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(max_attempts=2)) as store:
        await store.enqueue("q", "submit", [Chunk(b"a", 1), Chunk(b"b", 1), Chunk(b"c", 1)])
        for _ in range(2):
            lease = await store.lease("q", 3, 60_000)
            await store.fail("q", lease.token, ids(lease), "no")
        first, *_ = await store.dead_chunks("q", 9)
        assert await store.requeue("q", [first.id, "no/such/chunk"]) == 1
        assert await store.requeue("q", [first.id]) == 0
        again = await store.lease("q", 9, 60_000)
        assert [(chunk.payload, chunk.attempt) for chunk in again.chunks] == [(b"a", 1)]
        assert await store.requeue("q") == 2
        assert [chunk.payload for chunk in (await store.lease("q", 9, 60_000)).chunks] == [b"b", b"c"]
        assert await store.dead_chunks("q", 9) == []
        stats = await store.stats("q")
        assert (stats.ready, stats.leased, stats.dead) == (0, 3, 0)
        assert not await redis.exists(QueueKeys("q")["errors"])
