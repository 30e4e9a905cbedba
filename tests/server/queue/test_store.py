"""What every queue promises, whatever server keeps it."""

import asyncio

import pytest
from plures_server.errors import InvalidArgument, QueueFull, UnknownQueue
from plures_server.queue.chunks import Chunk, Enqueued, Lease, QueueStats
from plures_server.queue.connection import ConnectionConfig
from plures_server.queue.keys import QueueKeys
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .conftest import SERVERS
from .helpers import Clock, chunks, complete_all, ids, wait_until


def test_each_kind_of_server_is_asked() -> None:
    if len(SERVERS) == 1:
        pytest.skip("redis-server is not on PATH: what a queue promises is shown on Valkey alone")
    assert {server.name for server in SERVERS} == {"valkey-server", "redis-server"}


async def test_chunks_come_back_whole_and_in_the_order_they_were_put(store: QueueStore) -> None:
    put = chunks(3, 1, 2)
    await store.enqueue("q", "first", put[:2])
    await store.enqueue("q", "second", put[2:])
    lease = await store.lease("q", 3, 1_000)
    assert [(chunk.payload, chunk.items, chunk.attempt) for chunk in lease.chunks] == [
        (chunk.payload, chunk.items, 1) for chunk in put
    ]


async def test_payloads_and_results_may_hold_any_bytes(store: QueueStore) -> None:
    every_byte = bytes(range(256))
    await store.enqueue("q", "submit", [Chunk(every_byte, 1), Chunk(b"", 1)])
    lease = await store.lease("q", 2, 1_000)
    assert [chunk.payload for chunk in lease.chunks] == [every_byte, b""]
    await complete_all(store, "q", lease)
    assert [payload for _, payload in await store.results("q", "", 10)] == [every_byte, b""]


async def test_a_submission_made_again_changes_nothing_and_says_so(store: QueueStore) -> None:
    assert await store.enqueue("q", "submit", chunks(3, 2)) == Enqueued(5, duplicate=False)
    assert await store.enqueue("q", "submit", chunks(7)) == Enqueued(5, duplicate=True)
    assert await store.stats("q") == QueueStats(ready=5, leased=0, done=0, dead=0, last_error="")


async def test_the_same_submit_id_on_another_queue_is_another_submission(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(3))
    assert await store.enqueue("p", "submit", chunks(3)) == Enqueued(3, duplicate=False)


async def test_only_the_last_submissions_are_remembered(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(submits_remembered=2)) as store:
        for submit_id in "abc":
            await store.enqueue("q", submit_id, chunks(1))
        assert (await store.enqueue("q", "b", chunks(1))).duplicate
        assert (await store.enqueue("q", "c", chunks(1))).duplicate
        assert not (await store.enqueue("q", "a", chunks(1))).duplicate


async def test_a_full_queue_refuses_a_submission_as_a_whole(store: QueueStore) -> None:
    await store.enqueue("q", "fits", chunks(600))
    with pytest.raises(QueueFull, match=r"'q' holds 600 of at most 1000 items, too many to take 401 more"):
        await store.enqueue("q", "too much", chunks(1, 400))
    assert (await store.stats("q")).ready == 600


async def test_leased_items_count_towards_a_full_queue_and_done_ones_do_not(store: QueueStore) -> None:
    await store.enqueue("q", "all", chunks(1_000))
    lease = await store.lease("q", 1, 1_000)
    with pytest.raises(QueueFull):
        await store.enqueue("q", "more", chunks(1))
    await complete_all(store, "q", lease)
    assert await store.enqueue("q", "more", chunks(1)) == Enqueued(1, duplicate=False)


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
    assert await store.complete("q", lease.token, [(chunk_id, b"one"), (chunk_id, b"two")]) == {chunk_id}
    assert [payload for _, payload in await store.results("q", "", 10)] == [b"one"]


async def test_only_the_last_completions_are_remembered(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(completions_remembered=2)) as store:
        await store.enqueue("q", "submit", chunks(1, 1, 1))
        lease = await store.lease("q", 3, 60_000)
        for chunk_id in ids(lease):
            await store.complete("q", lease.token, [(chunk_id, b"")])
        assert await complete_all(store, "q", lease) == ids(lease)[1:]
        assert (await store.stats("q")).done == 3


async def test_a_chunk_that_keeps_failing_is_given_up_with_its_last_error(store: QueueStore) -> None:
    await store.enqueue("q", "submit", [Chunk(b"poison", 7)])
    for attempt in (1, 2, 3):
        lease = await store.lease("q", 1, 1_000)
        assert [chunk.attempt for chunk in lease.chunks] == [attempt]
        await store.fail("q", lease.token, ids(lease), f"failure {attempt}")
    assert not (await store.lease("q", 1, 1_000)).chunks
    assert await store.stats("q") == QueueStats(ready=0, leased=0, done=0, dead=7, last_error="failure 3")
    [dead] = await store.dead_chunks("q", 10)
    assert (dead.payload, dead.items, dead.error) == (b"poison", 7, "failure 3")


async def test_a_chunk_whose_workers_keep_dying_is_given_up(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", chunks(7))
    for _ in range(3):
        assert (await store.lease("q", 1, 1_000)).chunks
        clock.advance(1_000)
    assert not (await store.lease("q", 1, 1_000)).chunks
    stats = await store.stats("q")
    assert stats.dead == 7
    assert "lease expired" in stats.last_error


async def test_the_items_of_the_oldest_dead_chunks_go_and_their_count_stays(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(max_attempts=1, dead_chunks_kept=2)) as store:
        await store.enqueue("q", "submit", chunks(1, 2, 3))
        lease = await store.lease("q", 3, 60_000)
        await store.fail("q", lease.token, ids(lease), "no")
        assert [chunk.items for chunk in await store.dead_chunks("q", 10)] == [2, 3]
        assert [chunk.items for chunk in await store.dead_chunks("q", 1)] == [3]
        assert (await store.stats("q")).dead == 6
        assert await redis.hlen(QueueKeys("q").payloads) == 2


async def test_a_done_chunk_leaves_only_its_result_and_a_dead_one_its_items(store: QueueStore, redis: Redis) -> None:
    await store.enqueue("q", "submit", chunks(1, 1))
    for _ in range(2):
        failing = await store.lease("q", 2, 1_000)
        await store.fail("q", failing.token, ids(failing), "no")
    last = await store.lease("q", 2, 1_000)
    lucky, unlucky = ids(last)
    await store.complete("q", last.token, [(lucky, b"result")])
    await store.fail("q", last.token, [unlucky], "no")
    parts = {key.decode().rpartition(":")[2] async for key in redis.scan_iter()}
    assert parts == {"counts", "submits", "submit_order", "results", "finished", "dead", "payloads", "errors"}
    assert await redis.hkeys(QueueKeys("q").payloads) == await redis.hkeys(QueueKeys("q").errors) == [unlucky.encode()]


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


async def test_results_go_on_from_any_cursor(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(*range(1, 8)))
    await complete_all(store, "q", await store.lease("q", 7, 1_000))
    everything = await store.results("q", "", 100)
    assert [payload for _, payload in everything] == [chunk.payload for chunk in chunks(*range(1, 8))]
    for place, (cursor, _) in enumerate(everything):
        assert await store.results("q", cursor, 3) == everything[place + 1 : place + 4]


async def test_a_reader_gets_a_result_as_it_comes_and_holds_up_nobody(redis: Redis, server_url: str) -> None:
    single = ConnectionConfig(max_connections=1)
    async with QueueStore(server_url, connection=single) as store, asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(store.results("q", "", 10, block_ms=60_000)) for _ in range(3)]

        async def all_readers_wait() -> bool:
            return bool((await redis.info("clients"))["blocked_clients"] == 3)

        await wait_until(all_readers_wait)
        await store.enqueue("q", "submit", chunks(1))
        await complete_all(store, "q", await store.lease("q", 1, 1_000))
        assert [[payload for _, payload in await reader] for reader in reading] == [[b"payload 0 of 1"]] * 3


async def test_a_reader_that_waits_long_is_no_reason_to_think_the_server_dead(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, connection=ConnectionConfig(socket_timeout_s=0.3)) as store:
        assert await store.results("q", "", 10, block_ms=60_000) == []


async def test_old_results_go_when_their_time_is_over(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", chunks(*[1] * 250))
    while (lease := await store.lease("q", 200, 1_000)).chunks:
        await complete_all(store, "q", lease)
    last_cursor, _ = (await store.results("q", "", 250))[-1]
    a_week_later = int(last_cursor.partition("-")[0]) + QueueConfig().results_kept_ms + 1
    clock.advance(a_week_later - clock.now_ms)
    await store.enqueue("q", "one more", chunks(1))
    await complete_all(store, "q", await store.lease("q", 1, 1_000))
    # Redis drops whole blocks of a hundred.
    assert len(await store.results("q", "", 1_000)) <= 100
    assert len(await store.results("q", last_cursor, 1_000)) == 1
    assert (await store.stats("q")).done == 251


async def test_what_nobody_put_is_unknown(store: QueueStore, redis: Redis) -> None:
    for ask in (store.stats, store.delete):
        with pytest.raises(UnknownQueue, match="no queue 'ghost'"):
            await ask("ghost")
    assert await store.lease("ghost", 5, 1_000) == Lease("", ())
    assert await store.renew("ghost", "token", ["1:1"], 1_000) == frozenset()
    assert await store.complete("ghost", "token", [("1:1", b"")]) == frozenset()
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


@pytest.mark.parametrize("cursor", ["$", "+", "-", "0-0-0", "1-", "x", "9" * 20, "1\n"])
async def test_what_is_no_cursor_reads_nothing(store: QueueStore, cursor: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a cursor"):
        await store.results("q", cursor, 1)


@pytest.mark.parametrize(
    ("submit_id", "put", "why"),
    [
        ("", chunks(1), "1 to 128 characters, not 0"),
        ("x" * 129, chunks(1), "not 129"),
        ("submit", [], "has no items"),
        ("submit", chunks(3, 0), "has no items"),
    ],
)
async def test_a_submission_needs_an_id_and_items(
    store: QueueStore, redis: Redis, submit_id: str, put: list[Chunk], why: str
) -> None:
    with pytest.raises(InvalidArgument, match=why):
        await store.enqueue("q", submit_id, put)
    assert await redis.dbsize() == 0


@pytest.mark.parametrize("count", [0, -1, 201])
async def test_a_lease_is_of_a_bounded_number_of_chunks(store: QueueStore, count: int) -> None:
    with pytest.raises(InvalidArgument, match=f"chunks?, not {count}"):
        await store.lease("q", count, 1_000)
