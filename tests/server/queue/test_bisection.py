"""A chunk that keeps failing falls into halves, until its bad items stand alone."""

from plures_server.queue.chunks import Chunk, Lease, LeasedChunk, QueueStats, Result
from plures_server.queue.store import QueueConfig, QueueStore

from .helpers import Clock, ids

POISON = 11


def numbers(chunk: LeasedChunk) -> bytes:
    """The items of a chunk whose payload is a byte an item."""
    return chunk.payload[chunk.rows]


async def work(store: QueueStore, clock: Clock, dies: bool = False) -> bytes:
    """Do all there is, but for the poison; the items done, in order."""
    done = b""
    while (lease := await store.lease("q", 3, 1_000)).chunks:
        bad = [chunk for chunk in lease.chunks if POISON in numbers(chunk)]
        good = [chunk for chunk in lease.chunks if chunk not in bad]
        await store.complete("q", lease.token, [Result(chunk.id, numbers(chunk)) for chunk in good])
        done += b"".join(map(numbers, good))
        if dies:
            clock.advance(1_000)
        else:
            await store.fail("q", lease.token, [chunk.id for chunk in bad], "poison")
    return bytes(sorted(done))


async def test_a_bad_item_is_given_up_alone_and_its_neighbours_are_done(store: QueueStore, clock: Clock) -> None:
    await store.enqueue("q", "submit", [Chunk(bytes(range(8)), 8), Chunk(bytes(range(8, 21)), 13)])
    assert await work(store, clock) == bytes(number for number in range(21) if number != POISON)
    assert await store.stats("q") == QueueStats(ready=0, leased=0, done=20, dead=1, last_error="poison")
    [dead] = await store.dead_chunks("q", 10)
    assert dead.payload[dead.rows] == bytes([POISON])


async def test_an_item_that_kills_its_workers_is_found_though_none_lives_to_tell(
    store: QueueStore, clock: Clock
) -> None:
    await store.enqueue("q", "submit", [Chunk(bytes(range(16)), 16)])
    assert await work(store, clock, dies=True) == bytes(number for number in range(16) if number != POISON)
    stats = await store.stats("q")
    assert (stats.done, stats.dead) == (15, 1)
    assert "lease expired" in stats.last_error


async def test_a_chunk_is_tried_whole_before_it_falls_apart(store: QueueStore) -> None:
    await store.enqueue("q", "submit", [Chunk(bytes(5), 5)])
    sizes = []
    for _ in range(2):
        lease = await store.lease("q", 9, 1_000)
        sizes.append([chunk.items for chunk in lease.chunks])
        await store.fail("q", lease.token, ids(lease), "no")
    assert sizes == [[5], [5]]
    assert [(chunk.first, chunk.items, chunk.attempt) for chunk in (await store.lease("q", 9, 1_000)).chunks] == [
        (0, 3, 3),
        (3, 2, 3),
    ]


async def test_halves_have_their_results_each_and_the_payload_goes_with_the_last(
    redis: object, server_url: str
) -> None:
    async with QueueStore(server_url, QueueConfig(attempts_whole=1)) as store:
        await store.enqueue("q", "submit", [Chunk(b"ab", 2)])
        whole = await store.lease("q", 1, 60_000)
        await store.fail("q", whole.token, ids(whole), "no")
        halves = await store.lease("q", 2, 60_000)
        for chunk in halves.chunks:
            assert chunk.payload == b"ab"
            assert await store.complete("q", halves.token, [Result(chunk.id, numbers(chunk))]) == {chunk.id}
        assert [payload for _, payload in await store.results("q", "", 9)] == [b"a", b"b"]
        assert (await store.stats("q")).done == 2
        assert await store.lease("q", 2, 60_000) == Lease("", ())
