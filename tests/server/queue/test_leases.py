"""Who holds a chunk, for how long, and what becomes of it."""

import pytest
from plures_server.errors import InvalidArgument
from plures_server.queue.chunks import Chunk, Lease, QueueStats, Result, root_of
from plures_server.queue.keys import QueueKeys
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .helpers import Clock, chunks, complete_all, ids, wait_until


async def test_a_chunk_has_one_holder_at_a_time(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(1, 1, 1))
    first, second = await store.lease("q", 2, 1_000), await store.lease("q", 2, 1_000)
    assert len(first.chunks) == 2
    assert len(second.chunks) == 1
    assert not set(ids(first)) & set(ids(second))
    assert first.token != second.token
    assert await store.lease("q", 2, 1_000) == Lease("", ())


async def test_an_expired_lease_goes_to_whoever_asks_next(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", chunks(2, 3, 4))
    first = await store.lease("q", 2, 1_000)
    clock.advance(999)
    assert len((await store.lease("q", 1, 5_000)).chunks) == 1
    assert not (await store.lease("q", 2, 5_000)).chunks
    clock.advance(1)
    again = await store.lease("q", 2, 5_000)
    assert ids(again) == ids(first)
    assert [chunk.attempt for chunk in again.chunks] == [2, 2]


async def test_a_lease_ends_by_the_servers_clock_when_no_other_is_given(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url) as store:
        await store.enqueue("q", "submit", chunks(1))
        await store.lease("q", 1, 1)

        async def is_leased_again() -> bool:
            return bool((await store.lease("q", 1, 60_000)).chunks)

        await wait_until(is_leased_again)
        assert not (await store.lease("q", 1, 60_000)).chunks


async def test_a_renewed_lease_outlives_its_first_deadline(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", chunks(1, 1))
    lease = await store.lease("q", 2, 1_000)
    renewed, forgotten = ids(lease)
    clock.advance(900)
    assert await store.renew("q", lease.token, [renewed], 1_000) == {renewed}
    clock.advance(900)
    assert ids(await store.lease("q", 2, 1_000)) == [forgotten]
    assert await store.renew("q", lease.token, [renewed, forgotten], 1_000) == {renewed}


async def test_who_lost_a_lease_can_do_nothing_with_it(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", chunks(5))
    stale = await store.lease("q", 1, 1_000)
    clock.advance(1_000)
    current = await store.lease("q", 1, 1_000)
    before = await store.stats("q")

    assert await complete_all(store, "q", stale) == []
    assert await store.renew("q", stale.token, ids(stale), 9_000) == frozenset()
    await store.fail("q", stale.token, ids(stale), "too late")
    await store.release("q", stale.token, ids(stale))

    assert await store.stats("q") == before
    assert await store.results("q", "", 10) == []
    assert await complete_all(store, "q", current) == ids(current)


async def test_a_late_result_counts_while_nobody_else_took_the_chunk(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", chunks(5))
    lease = await store.lease("q", 1, 1_000)
    clock.advance(5_000)
    assert await complete_all(store, "q", lease) == ids(lease)
    assert not (await store.lease("q", 1, 1_000)).chunks
    assert (await store.stats("q")).done == 5


async def test_completing_again_answers_the_same_and_counts_once(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(5))
    lease = await store.lease("q", 1, 1_000)
    assert await complete_all(store, "q", lease) == await complete_all(store, "q", lease) == ids(lease)
    assert await store.stats("q") == QueueStats(ready=0, leased=0, done=5, dead=0, last_error="")
    assert len(await store.results("q", "", 10)) == 1


async def test_a_chunk_named_twice_in_one_completion_has_one_result(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(5))
    lease = await store.lease("q", 1, 1_000)
    [chunk_id] = ids(lease)
    assert await store.complete("q", lease.token, [Result(chunk_id, b"one"), Result(chunk_id, b"two")]) == {chunk_id}
    assert [payload for _, payload in await store.results("q", "", 10)] == [b"one"]


async def test_only_the_last_completions_are_remembered(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(completions_remembered=2)) as store:
        await store.enqueue("q", "submit", chunks(1, 1, 1))
        lease = await store.lease("q", 3, 60_000)
        for chunk_id in ids(lease):
            await store.complete("q", lease.token, [Result(chunk_id, b"")])
        assert await complete_all(store, "q", lease) == ids(lease)[1:]
        assert (await store.stats("q")).done == 3


async def test_a_chunk_that_keeps_failing_is_given_up_with_its_last_error(store: QueueStore) -> None:
    await store.enqueue("q", "submit", [Chunk(b"poison", 1)])
    for attempt in (1, 2, 3):
        lease = await store.lease("q", 1, 1_000)
        assert [chunk.attempt for chunk in lease.chunks] == [attempt]
        await store.fail("q", lease.token, ids(lease), f"failure {attempt}")
    assert not (await store.lease("q", 1, 1_000)).chunks
    assert await store.stats("q") == QueueStats(ready=0, leased=0, done=0, dead=1, last_error="failure 3")
    [dead] = await store.dead_chunks("q", 10)
    assert (dead.payload, dead.items, dead.error) == (b"poison", 1, "failure 3")


async def test_a_chunk_whose_workers_keep_dying_is_given_up(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", chunks(1))
    for _ in range(3):
        assert (await store.lease("q", 1, 1_000)).chunks
        clock.advance(1_000)
    assert not (await store.lease("q", 1, 1_000)).chunks
    stats = await store.stats("q")
    assert stats.dead == 1
    assert "lease expired" in stats.last_error


async def test_the_items_of_the_oldest_dead_chunks_go_and_their_count_stays(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(max_attempts=1, dead_chunks_kept=2)) as store:
        await store.enqueue("q", "submit", [Chunk(payload, 1) for payload in (b"a", b"b", b"c")])
        lease = await store.lease("q", 3, 60_000)
        await store.fail("q", lease.token, ids(lease), "no")
        assert [chunk.payload for chunk in await store.dead_chunks("q", 10)] == [b"b", b"c"]
        assert [chunk.payload for chunk in await store.dead_chunks("q", 1)] == [b"c"]
        assert (await store.stats("q")).dead == 3
        assert await redis.hlen(QueueKeys("q")["payloads"]) == 2


async def test_a_done_chunk_leaves_only_its_result_and_a_dead_one_its_items(store: QueueStore, redis: Redis) -> None:
    await store.enqueue("q", "submit", chunks(1, 1))
    for _ in range(2):
        failing = await store.lease("q", 2, 1_000)
        await store.fail("q", failing.token, ids(failing), "no")
    last = await store.lease("q", 2, 1_000)
    lucky, unlucky = ids(last)
    await store.complete("q", last.token, [Result(lucky, b"result")])
    await store.fail("q", last.token, [unlucky], "no")
    assert not (await store.lease("q", 1, 1_000)).chunks
    parts = {key.decode().rpartition(":")[2] async for key in redis.scan_iter()}
    assert parts == {"counts", "submits", "submit_order", "results", "finished", "dead", "payloads", "errors", "live"}
    assert await redis.hkeys(QueueKeys("q")["payloads"]) == [root_of(unlucky).encode()]
    assert await redis.hkeys(QueueKeys("q")["errors"]) == [unlucky.encode()]


async def test_a_released_chunk_is_next_in_line_and_the_attempt_does_not_count(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(1, 2, 3))
    for _ in range(5):
        lease = await store.lease("q", 2, 1_000)
        assert [(chunk.items, chunk.attempt) for chunk in lease.chunks] == [(1, 1), (2, 1)]
        await store.release("q", lease.token, ids(lease))
    assert await store.stats("q") == QueueStats(ready=6, leased=0, done=0, dead=0, last_error="")


async def test_a_failed_chunk_waits_behind_the_others(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(1, 2))
    lease = await store.lease("q", 1, 1_000)
    await store.fail("q", lease.token, ids(lease), "not now")
    assert [chunk.items for chunk in (await store.lease("q", 2, 1_000)).chunks] == [2, 1]


@pytest.mark.parametrize("count", [0, -1, 201])
async def test_a_lease_is_of_a_bounded_number_of_chunks(store: QueueStore, count: int) -> None:
    with pytest.raises(InvalidArgument, match=f"about 1 to 200 chunks, not {count}"):
        await store.lease("q", count, 1_000)
