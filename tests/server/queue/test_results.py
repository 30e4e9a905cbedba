"""The feed of results."""

import asyncio

import pytest
from plures_server.errors import InvalidArgument
from plures_server.queue.connection import ConnectionConfig
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .helpers import Clock, chunks, complete_all, wait_until


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


@pytest.mark.parametrize("cursor", ["$", "+", "-", "0-0-0", "1-", "x", "9" * 20, "1\n"])
async def test_what_is_no_cursor_reads_nothing(store: QueueStore, cursor: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a cursor"):
        await store.results("q", cursor, 1)
