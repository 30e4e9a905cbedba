"""Who is served when: kinds, priorities, tenants, pauses, times to live, clocks that jump."""

import pytest
from plures_server.errors import InvalidArgument, QueueFull, UnknownQueue
from plures_server.queue.chunks import Child, Chunk, Result, Terms
from plures_server.queue.keys import QueueKeys
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .helpers import Clock, chunks, complete_all, ids


async def put(store: QueueStore, name: bytes, items: int = 1, kind: str = "", **terms: object) -> None:
    submit_id = f"{name.decode()} {kind} {terms}"
    await store.enqueue("q", submit_id, [Chunk(name, items, kind)], Terms(**terms))  # type: ignore[arg-type]


async def leased(store: QueueStore, count: int = 100, *kinds: str) -> bytes:
    return b"".join(chunk.payload for chunk in (await store.lease("q", count, 1_000, kinds or ("",))).chunks)


async def test_a_worker_gets_only_what_it_can_do(store: QueueStore) -> None:
    for name, kind in ((b"a", "bandit"), (b"b", "bandit-3"), (b"c", "bandit"), (b"d", "maze")):
        await put(store, name, kind=kind)
    assert await leased(store, 9, "chess") == b""
    assert await leased(store, 1, "bandit-3", "maze") == b"b"
    assert await leased(store, 9, "maze", "bandit") == b"acd"


async def test_kinds_are_called_as_tasks_are(store: QueueStore) -> None:
    pong = "gymnasium:ALE/Pong-v5"
    await put(store, b"p", kind=pong)
    await put(store, b"a", kind="gymnasium:ALE/Alien-v5")
    lease = await store.lease("q", 9, 1_000, [pong])
    [chunk] = lease.chunks
    child = Child(Chunk(b"child", 1, pong), "other")
    await store.complete("q", lease.token, [Result(chunk.id, b"", [child, Child(child.chunk)])])
    await store.relay("q")
    for queue in ("q", "other"):
        assert [chunk.payload for chunk in (await store.lease(queue, 9, 1_000, [pong])).chunks] == [b"child"]
    with pytest.raises(InvalidArgument, match="'no task' is no task's name"):
        await put(store, b"x", kind="no task")


async def test_the_urgent_goes_first_and_the_rest_in_the_order_it_came(store: QueueStore) -> None:
    for name, priority in ((b"a", 0), (b"b", 3), (b"c", 9), (b"d", 3)):
        await put(store, name, priority=priority, kind="k" if name == b"b" else "")
    assert await leased(store, 9, "", "k") == b"cbda"


async def test_tenants_get_equal_shares_in_items(store: QueueStore) -> None:
    """However much one puts, and before the others: one has chunks of 2 items, one of 1."""
    for number in range(100):
        await put(store, b"A", 2, tenant="a", ttl_ms=number + 10**6)
    for number in range(20):
        await put(store, b"b", 1, tenant="b", ttl_ms=number + 10**6)
    served = b"".join([await leased(store, 1) for _ in range(24)])
    assert served.count(b"b") == 16
    assert served[:6].count(b"b") in (3, 4)
    assert set((await leased(store, 60))[12:]) == set(b"A")


@pytest.mark.parametrize("at_once", [1, 2, 8])
async def test_a_lease_takes_what_leases_of_one_would(store: QueueStore, at_once: int) -> None:
    """Of two who were served alike, the name decides, also within one lease."""
    await put(store, b"first", tenant="a")
    assert await leased(store, 1) == b"first"
    for name in (b"a", b"b"):
        for number in range(4):
            await put(store, name, tenant=name.decode(), ttl_ms=number + 10**6)
    assert b"".join([await leased(store, at_once) for _ in range(8)]) == b"babababa"


async def test_who_comes_late_neither_catches_up_nor_is_behind(store: QueueStore) -> None:
    for number in range(40):
        await put(store, b"a", tenant="a", ttl_ms=number + 10**6)
    assert await leased(store, 20) == b"a" * 20
    for number in range(20):
        await put(store, b"b", tenant="b", ttl_ms=number + 10**6)
    assert (await leased(store, 10)).count(b"b") in (5, 6)


async def test_urgency_is_among_ones_own(store: QueueStore) -> None:
    for number in range(9):
        await put(store, b"u", tenant="pushy", priority=9, ttl_ms=number + 10**6)
        await put(store, b"m", tenant="meek", ttl_ms=number + 10**6)
    assert sorted(await leased(store, 8)) == sorted(b"um" * 4)


async def test_a_paused_queue_serves_nothing_and_takes_all(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(1, 2))
    held = await store.lease("q", 1, 1_000)
    await store.pause("q")
    assert (await store.stats("q")).paused
    assert await leased(store) == b""
    assert await complete_all(store, "q", held) == ids(held)
    await store.enqueue("q", "more", chunks(4))
    await store.resume("q")
    stats = await store.stats("q")
    assert (stats.ready, stats.done, stats.paused) == (6, 1, False)
    assert len((await store.lease("q", 9, 1_000)).chunks) == 2


async def test_there_is_no_pausing_what_there_is_not(store: QueueStore, redis: Redis) -> None:
    for attempt in (store.pause, store.resume):
        with pytest.raises(UnknownQueue):
            await attempt("ghost")
    assert await redis.dbsize() == 0


async def test_what_nobody_began_in_its_time_to_live_is_given_up(store: QueueStore, clock: Clock) -> None:
    await put(store, b"long")
    await put(store, b"short", 3, ttl_ms=500)
    await put(store, b"begun", ttl_ms=500, priority=1)
    assert await leased(store, 1) == b"begun"
    clock.advance(500)
    assert await leased(store) == b"long"
    stats = await store.stats("q")
    assert (stats.ready, stats.dead, stats.last_error) == (0, 3, "nobody began it in its time to live")
    assert await store.requeue("q") == 3
    assert await leased(store) == b"short"


async def test_a_clock_that_is_set_forward_costs_an_attempt_and_nothing_else(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", chunks(1))
    early = await store.lease("q", 1, 1_000)
    clock.advance(10**10)
    late = await store.lease("q", 1, 1_000)
    assert [chunk.attempt for chunk in late.chunks] == [2]
    assert await complete_all(store, "q", early) == []
    assert await complete_all(store, "q", late) == ids(late)
    assert len(await store.results("q", "", 9)) == 1


async def test_a_clock_that_is_set_back_makes_nobody_wait_longer_than_a_lease(store: QueueStore, clock: Clock) -> None:
    clock.advance(10**10)
    await store.enqueue("q", "submit", chunks(1))
    await store.lease("q", 1, 1_000)
    clock.advance(-(10**10))
    assert not (await store.lease("q", 1, 1_000)).chunks
    clock.advance(1_000)
    assert [chunk.attempt for chunk in (await store.lease("q", 1, 1_000)).chunks] == [2]


async def test_all_of_a_queue_goes_a_time_after_its_last_use(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(idle_ms=60_000, max_attempts=1)) as store:
        await store.enqueue("q", "submit", chunks(1, 1, 1))
        lease = await store.lease("q", 2, 1_000)
        await complete_all(store, "q", await store.lease("q", 1, 1_000))
        await store.fail("q", lease.token, ids(lease)[:1], "no")
        left = [await redis.pttl(key) for key in QueueKeys("q").all if await redis.exists(key)]
    assert len(left) > 10
    assert max(left) - min(left) <= 50
    assert 0 < min(left) <= 60_000


async def test_results_that_nobody_forgets_hold_up_new_items(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(max_results=2)) as store:
        await store.enqueue("q", "submit", chunks(1, 1, 1))
        await complete_all(store, "q", await store.lease("q", 3, 60_000))
        with pytest.raises(QueueFull, match="'q' keeps 3 results that nobody has said to be done with; read them and"):
            await store.enqueue("q", "more", chunks(1))
        cursors = [cursor for cursor, _ in await store.results("q", "", 9)]
        assert await store.forget_results("q", cursors[1]) == 2
        assert [cursor for cursor, _ in await store.results("q", "", 9)] == cursors[2:]
        await store.enqueue("q", "more", chunks(1))


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(tenant="No Name"), "tenant 'No Name' is not a name"),
        (Terms(priority=10), "a priority of 10 given; it is 0 to 9"),
        (Terms(priority=-1), "a priority of -1 given"),
        (Terms(ttl_ms=0), "a time to live of 0 ms given"),
    ],
)
async def test_terms_that_there_are_not_are_refused(store: QueueStore, terms: Terms, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        await store.enqueue("q", "submit", chunks(1), terms)


async def test_a_chunk_that_is_too_big_is_refused(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(max_payload_bytes=9)) as store:
        with pytest.raises(InvalidArgument, match=r"2 items of 10 bytes travel together, at most 9 can; send smaller"):
            await store.enqueue("q", "submit", [Chunk(bytes(10), 2)])
    assert await redis.dbsize() == 0
