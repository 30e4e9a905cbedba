"""What is put on a queue: once, whole, within bounds."""

import pytest
from plures_server.errors import InvalidArgument, QueueFull
from plures_server.queue.chunks import Chunk, Enqueued, QueueStats
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .helpers import chunks, complete_all


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
