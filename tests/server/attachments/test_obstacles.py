"""Items that cannot be done, now or ever, and cohorts that go on."""

import asyncio
import re
from dataclasses import replace

import numpy as np
import pytest
from plures_server import attachments as attachments_module
from plures_server.attachments import Attachments
from plures_server.engine import Engine
from plures_server.queue.chunks import Chunk
from plures_server.queue.items import ItemBatch
from plures_server.queue.store import QueueStore
from plures_server.tasks import TASKS
from plures_server.tasks.bandit import Bandit

from ..conftest import MakeEngine
from ..helpers import act, lives, small_student, start, wait_until
from ..test_act import Fragile, pages_used
from .helpers import attachment, batch, has, put

BAD_CHUNKS = {
    "junk": (Chunk(b"\xff\xff\xff", 2, "bandit"), "Error parsing message"),
    "nothing": (Chunk(b"", 2, "bandit"), "is not a resource name of the form tasks/"),
    "another task": (replace(batch(2, task="chess").split()[0], kind="bandit"), "no task 'chess' is known"),
    "a parameter too many": (
        ItemBatch("bandit", *(np.ones(2, "u8"), np.ones((2, 3), "f4"), np.ones(2, "u8"), np.ones(2, "u4"))).split()[0],
        r"parameters must be FLOAT32 \[agents or 1, 2\]",
    ),
    "no chance": (
        ItemBatch("bandit", *(np.ones(2, "u8"), np.full((2, 2), 7, "f4"), np.ones(2, "u8"), np.ones(2, "u4"))).split()[
            0
        ],
        "p_0 7.0 of row 0 is not a probability",
    ),
}


@pytest.mark.parametrize("what", BAD_CHUNKS)
async def test_items_that_nobody_can_do_are_failed_alone(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str, what: str
) -> None:
    """The good ones beside them have their results, and the cohort works on."""
    chunk, said = BAD_CHUNKS[what]
    await start(engine, "joe", 600)
    await put(store, queue, batch(5))
    await store.enqueue(queue, "bad", [chunk])
    await put(store, queue, batch(5, first=5))
    await attachments.attach(attachment(queue), None)
    await wait_until(has(store, queue, done=10, dead=2))
    dead = await store.dead_chunks(queue, 10)
    assert [one.payload for one in dead] == [chunk.payload] * 2
    assert re.search(said, dead[0].error), dead[0].error
    await put(store, queue, batch(5, first=10))
    await wait_until(has(store, queue, done=15))


def for_three_arms(count: int) -> ItemBatch:
    """Items of a task that has an action more."""
    two = batch(count)
    return replace(two, task="bandit-3", parameters_NP=np.full((count, 3), 0.5, np.float32))


@pytest.fixture
def three_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "bandit-3", Bandit(arms=3))
    monkeypatch.setattr(attachments_module, "IDLE_SECONDS", 0.005)


@pytest.mark.usefixtures("three_arms")
@pytest.mark.parametrize("others", [7, 40])
async def test_items_for_other_students_are_left_to_them(
    make_engine: MakeEngine, store: QueueStore, queue: str, others: int
) -> None:
    """However often others come by: they have lost no attempt."""
    engine = make_engine(small_student(), small_student(actions=3))
    await start(engine, "joe", 2)
    await start(engine, "jane", 50, student="jane")
    await put(store, queue, for_three_arms(others), chunk_items=1)
    async with Attachments(engine, store) as attachments:
        await attachments.attach(attachment(queue, "joe"), None)
        for first in range(0, 60, 10):
            await put(store, queue, batch(10, first=first), chunk_items=2)
            await wait_until(has(store, queue, done=first + 10))
        await attachments.detach(queue, "joe")
        stats = await store.stats(queue)
        assert (stats.ready, stats.leased, stats.done, stats.dead) == (others, 0, 60, 0)
        lease = await store.lease(queue, 200, 1000, ["bandit-3"])
        assert {chunk.attempt for chunk in lease.chunks} == {1}
        await store.release(queue, lease.token, [chunk.id for chunk in lease.chunks])
        await attachments.attach(attachment(queue, "jane"), None)
        await wait_until(has(store, queue, done=60 + others))
        assert (await store.stats(queue)).dead == 0


async def test_a_full_pool_makes_items_wait_unharmed(make_engine: MakeEngine, store: QueueStore, queue: str) -> None:
    engine = make_engine(pages=6)
    await start(engine, "joe", 4)
    await start(engine, "hog", 4)
    await act(engine, "hog")
    await put(store, queue, batch(4))
    async with Attachments(engine, store) as attachments:
        await attachments.attach(attachment(queue), None)
        for _ in range(20):
            await asyncio.sleep(0.01)
        stats = await store.stats(queue)
        assert (stats.done, stats.dead) == (0, 0)
        await engine.call(lambda pool: pool.retire("hog", None))
        await wait_until(has(store, queue, done=4))
    assert await pages_used(engine) == 0


async def test_a_model_that_fails_fails_the_items_and_the_cohort_goes_on(
    make_engine: MakeEngine, store: QueueStore, queue: str
) -> None:
    model = Fragile(small_student().config).eval().requires_grad_(False)
    engine = make_engine(model)
    await start(engine, "joe", 4)
    model.broken = True
    async with Attachments(engine, store) as attachments:
        await put(store, queue, batch(4))
        await attachments.attach(attachment(queue, keep_learning=True), None)
        await wait_until(has(store, queue, dead=4))
        assert (await store.stats(queue)).last_error == "RuntimeError: out of memory, say"
        model.broken = False
        await put(store, queue, batch(4, first=4))
        await wait_until(has(store, queue, done=4))
    assert (await lives(engine, "joe")).step.tolist() == [3, 3, 3, 3]
    assert await pages_used(engine) == 4
