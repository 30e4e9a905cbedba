"""Items that put items on queues: there if and only if the result that came with them counts."""

import pytest
from plures_server.errors import InvalidArgument, QueueFull
from plures_server.queue.chunks import Child, Chunk, Result, Terms, depth_of
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .helpers import Clock, chunks, ids

CHILD = Child(Chunk(b"child", 3, "maze"))
ELSEWHERE = Child(Chunk(b"elsewhere", 2, "maze"), "other")


async def test_children_are_there_with_the_result_in_the_parents_name(store: QueueStore) -> None:
    await store.enqueue("q", "submit", chunks(1), Terms("joe", 4))
    lease = await store.lease("q", 1, 1_000)
    [parent] = ids(lease)
    for _ in range(2):
        assert await store.complete("q", lease.token, [Result(parent, b"result", [CHILD, CHILD])]) == {parent}
    children = (await store.lease("q", 9, 1_000, ["maze"])).chunks
    assert [(chunk.payload, chunk.items, chunk.attempt) for chunk in children] == [(b"child", 3, 1)] * 2
    assert {chunk.id.split("/")[0] for chunk in children} == {"joe"}
    assert {depth_of(chunk.id) for chunk in children} == {1}
    assert len(await store.results("q", "", 9)) == 1


async def test_who_lost_a_lease_puts_nothing(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", chunks(1))
    stale = await store.lease("q", 1, 1_000)
    clock.advance(1_000)
    await store.lease("q", 1, 1_000)
    assert not await store.complete("q", stale.token, [Result(ids(stale)[0], b"late", [CHILD, ELSEWHERE])])
    assert (await store.stats("q")).ready == 0
    assert await store.relay("q") == frozenset()


async def test_children_for_another_queue_are_carried_there_once(store: QueueStore, redis: Redis) -> None:
    await store.enqueue("q", "submit", chunks(1, 1), Terms("joe", 4))
    lease = await store.lease("q", 2, 1_000)
    await store.complete("q", lease.token, [Result(id_, b"result", [ELSEWHERE]) for id_ in ids(lease)])
    assert await store.relay("q") == {"other"}
    assert await store.relay("q") == frozenset()
    [first, second] = (await store.lease("other", 9, 1_000, ["maze"])).chunks
    assert (first.payload, first.items, depth_of(first.id)) == (b"elsewhere", 2, 1)
    assert first.id.startswith("joe/maze/5/")
    assert second.id != first.id


async def test_children_of_queues_with_the_longest_names_are_carried(store: QueueStore) -> None:
    of, to = f"{'a' * 63}~{'q' * 63}", f"{'a' * 63}~{'r' * 63}"
    await store.enqueue(of, "submit", chunks(1))
    lease = await store.lease(of, 1, 1_000)
    await store.complete(of, lease.token, [Result(ids(lease)[0], b"result", [Child(Chunk(b"child", 3, "maze"), to)])])
    assert await store.relay(of) == {to}


async def test_a_relay_that_died_half_way_leaves_the_rest_to_the_next(
    store: QueueStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.enqueue("q", "submit", chunks(1))
    lease = await store.lease("q", 1, 1_000)
    await store.complete("q", lease.token, [Result(ids(lease)[0], b"result", [ELSEWHERE] * 3)])

    async def dies(*_: object) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as patch:
        patch.setattr(store._connection.commands, "xdel", dies)
        with pytest.raises(ConnectionAbortedError):
            await store.relay("q")
    assert (await store.stats("other")).ready == 2
    await store.relay("q")
    assert (await store.stats("other")).ready == 6


async def test_children_wait_while_the_other_queue_is_full(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(max_items=3)) as store:
        await store.enqueue("q", "submit", chunks(1))
        await store.enqueue("other", "submit", chunks(2))
        lease = await store.lease("q", 1, 60_000)
        await store.complete("q", lease.token, [Result(ids(lease)[0], b"result", [ELSEWHERE])])
        with pytest.raises(QueueFull):
            await store.relay("q")
        await store.cancel("other")
        assert await store.relay("q") == {"other"}


async def test_chains_of_items_end(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url, QueueConfig(max_depth=2)) as store:
        await store.enqueue("q", "submit", [CHILD.chunk])
        for depth in range(2):
            lease = await store.lease("q", 1, 60_000, ["maze"])
            assert depth_of(ids(lease)[0]) == depth
            await store.complete("q", lease.token, [Result(ids(lease)[0], b"", [CHILD])])
        last = await store.lease("q", 1, 60_000, ["maze"])
        with pytest.raises(InvalidArgument, match="to a depth of 2 ask for more; let such chains end sooner"):
            await store.complete("q", last.token, [Result(ids(last)[0], b"", [CHILD])])
        assert len(await store.complete("q", last.token, [Result(ids(last)[0], b"")])) == 1
