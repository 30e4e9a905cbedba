"""Cohorts at work on queues, with a real store: each item has one result, and learning counts when the result does."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures.v1 import queue_pb2
from plures_server import attachments as attachments_module
from plures_server import shift as shift_module
from plures_server.attachments import Attachment, Attachments
from plures_server.engine import Engine
from plures_server.errors import (
    AgentsBusy,
    AlreadyExists,
    InvalidArgument,
    QueueUnavailable,
    UnknownCohort,
    UnknownQueue,
)
from plures_server.pool import Pool
from plures_server.queue.chunks import Chunk, Lease
from plures_server.queue.connection import ConnectionConfig
from plures_server.queue.embedded import EmbeddedValkey
from plures_server.queue.items import ItemBatch
from plures_server.queue.store import QueueStore
from plures_server.rpc.convert import array_from, tensor_to
from plures_server.runs import CohortRun, run_to_end, take
from plures_server.tasks import get_task
from plures_students.model import Inputs, Student
from torch import Tensor

from .conftest import MakeEngine
from .helpers import act, lives, small_student, start, wait_until
from .test_act import Fragile, pages_used
from .test_engine import held_up

Summaries = dict[int, list[float]]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits half a second before it tries again waits a moment."""
    for module in (attachments_module, shift_module):
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)


@pytest.fixture
async def attachments(engine: Engine, store: QueueStore) -> AsyncIterator[Attachments]:
    async with Attachments(engine, store) as attachments:
        yield attachments


def batch(count: int, steps: int | Sequence[int] = 3, first: int = 0, task: str = "bandit") -> ItemBatch:
    """Items first, first + 1, …, each a bandit and a seed of its own."""
    item_N = np.arange(first, first + count, dtype=np.uint64)
    rate_N = (item_N * 37 % 101 / 100).astype(np.float32)
    return ItemBatch(task, item_N, np.stack([rate_N, 1 - rate_N], 1), item_N * 7919, np.full(count, steps, np.uint32))


async def put(store: QueueStore, queue: str, items: ItemBatch, chunk_items: int = 256) -> None:
    submission = f"{items.task}-{items.item_N[0]}-{len(items)}-{np.random.default_rng().integers(2**62)}"
    await store.enqueue(queue, submission, items.split(chunk_items))


async def result_messages(store: QueueStore, queue: str) -> list[queue_pb2.ResultsResponse]:
    found = await store.results(queue, "", limit=100_000)
    return [queue_pb2.ResultsResponse.FromString(payload) for _, payload in found]


async def results(store: QueueStore, queue: str) -> Summaries:
    """Each item's summary; fails when an item has two results."""
    summaries: Summaries = {}
    for message in await result_messages(store, queue):
        for item, summary in zip(array_from(message.item, ""), array_from(message.summary, ""), strict=True):
            assert int(item) not in summaries, f"item {item} has two results"
            summaries[int(item)] = summary.tolist()
    return summaries


def has(store: QueueStore, queue: str, **counts: int) -> Callable[[], Any]:
    async def fact() -> bool:
        stats = await store.stats(queue)
        return all(getattr(stats, name) >= count for name, count in counts.items())

    return fact


def attachment(queue: str, cohort: str = "joe", keep_learning: bool = False) -> Attachment:
    return Attachment(queue, cohort, keep_learning)


async def is_free(engine: Engine, cohort: str = "joe") -> bool:
    return not await engine.call(lambda pool: pool.get(cohort).busy.any())


@pytest.mark.parametrize("keep_learning", [False, True], ids=["nothing", "learning"])
async def test_each_item_has_one_result(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str, keep_learning: bool
) -> None:
    count = 700
    items = batch(count, steps=[1 + n % 7 for n in range(count)])
    await start(engine, "joe", 50)
    await put(store, queue, items)
    await attachments.attach(attachment(queue, keep_learning=keep_learning), None)
    await put(store, queue, batch(30, first=count), chunk_items=1)
    attachments.announce(queue)
    await wait_until(has(store, queue, done=count + 30))
    summaries = await results(store, queue)
    assert summaries.keys() == set(range(count + 30))
    assert [sum(summaries[item][::3]) for item in range(count)] == items.steps_N.tolist()
    messages = await result_messages(store, queue)
    assert {message.cohort for message in messages} == {"cohorts/joe"}
    assert max(array_from(message.ordinal, "").max() for message in messages) == 49
    stats = await store.stats(queue)
    assert (stats.ready, stats.leased, stats.dead, stats.last_error) == (0, 0, 0, "")
    if keep_learning:
        await attachments.detach(queue, "joe")
        assert (await lives(engine, "joe")).step.sum() == items.steps_N.sum() + 30 * 3


async def work_off(
    engine: Engine, store: QueueStore, queue: str, items: ItemBatch, ordinals: list[int] | None, **changes: Any
) -> Summaries:
    await put(store, queue, items, **changes)
    async with Attachments(engine, store) as attachments:
        await attachments.attach(attachment(queue), None if ordinals is None else np.array(ordinals))
        await wait_until(has(store, queue, done=len(items)))
    return await results(store, queue)


async def test_a_result_that_keeps_nothing_is_a_function_of_copy_and_item(
    engine: Engine, store: QueueStore, queue: str
) -> None:
    """Of neither the order of the items, nor how many copies work, nor what they did before."""
    await start(engine, "joe", 40)
    before = await lives(engine, "joe")
    items = batch(90, steps=[1 + n % 5 for n in range(90)])
    shuffled = items.rows(np.random.default_rng(0).permutation(90))
    expected = await work_off(engine, store, f"{queue}-0", items, [0])
    assert len({tuple(summary) for summary in expected.values()}) > 5
    assert await work_off(engine, store, f"{queue}-1", shuffled, None) == expected
    assert await work_off(engine, store, f"{queue}-2", shuffled, [5, 3, 11], chunk_items=4) == expected
    assert (await lives(engine, "joe")).same_bits(before)
    assert await pages_used(engine) == 0


async def test_copies_that_differ_give_results_of_their_own(engine: Engine, store: QueueStore, queue: str) -> None:
    await start(engine, "joe", 3)
    for _ in range(3):
        await act(engine, "joe", reward=torch.tensor([-3.0, 0, 3]))
    before, items = await lives(engine, "joe"), batch(60, steps=9)
    by_copy = [await work_off(engine, store, f"{queue}-{copy}", items, [copy]) for copy in range(3)]
    assert by_copy[0] != by_copy[2]
    together = await work_off(engine, store, f"{queue}-all", items, None, chunk_items=7)
    for message in await result_messages(store, f"{queue}-all"):
        for item, copy in zip(array_from(message.item, ""), array_from(message.ordinal, ""), strict=True):
            assert together[int(item)] == by_copy[int(copy)][int(item)]
    assert (await lives(engine, "joe")).same_bits(before)


async def test_learning_that_is_kept_is_the_life_through_its_items(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str
) -> None:
    items = batch(6, steps=4)
    for name in ("joe", "jane"):
        await start(engine, name, 1, seed=8)
    await put(store, queue, items, chunk_items=2)
    await attachments.attach(attachment(queue, keep_learning=True), None)
    await wait_until(has(store, queue, done=6))
    await attachments.detach(queue, "joe")

    def begin(n: int) -> Callable[[Pool], CohortRun]:
        parameters, seed = torch.tensor(items.parameters_NP[n : n + 1]), torch.tensor([int(items.seed_N[n])])
        one, four = np.array([0]), np.array([4])
        return lambda pool: take(
            pool, engine.steppers["joe"], pool.get("jane"), one, get_task("bandit"), parameters, seed, four
        )

    for n in range(6):
        begun = await engine.call(begin(n))
        _ = [slice_ async for slice_ in run_to_end(engine, begun)]
        assert begun.run.episode.summary()[0].tolist() == (await results(store, queue))[n]
    assert (await lives(engine, "joe")).same_bits(await lives(engine, "jane"))
    assert await pages_used(engine) == 2


NO_RESULTS = queue_pb2.ResultsResponse(
    item=tensor_to(np.empty(0, np.uint64)), summary=tensor_to(np.empty((0, 6), np.float32))
).SerializeToString()


class Robbed(QueueStore):
    """Just before its first completion, its lease ends and another worker does the items."""

    def __init__(self, url: str) -> None:
        self.now_ms = 1_000
        super().__init__(url, clock=lambda: self.now_ms)
        self.thief = QueueStore(url, clock=lambda: self.now_ms)
        self.is_robbed = False

    async def complete(self, queue: str, token: str, results: Sequence[tuple[str, bytes]]) -> frozenset[str]:
        if not self.is_robbed:
            self.is_robbed = True
            self.now_ms += shift_module.VISIBILITY_MS + 1
            loot = await self.thief.lease(queue, len(results), 10_000)
            stolen = [(chunk.id, NO_RESULTS) for chunk in loot.chunks]
            assert len(await self.thief.complete(queue, loot.token, stolen)) == len(results)
        return await super().complete(queue, token, results)

    async def aclose(self) -> None:
        await self.thief.aclose()
        await super().aclose()


async def test_what_was_learned_on_items_that_others_did_is_not_kept(
    engine: Engine, valkey_url: str, queue: str
) -> None:
    cohort = await start(engine, "joe", 5)
    async with Robbed(valkey_url) as store, Attachments(engine, store) as attachments:
        await put(store, queue, batch(5, steps=4))
        await attachments.attach(attachment(queue, keep_learning=True), None)
        await wait_until(has(store, queue, done=5))
        await put(store, queue, batch(3, first=5, steps=2))
        await wait_until(has(store, queue, done=8))
        await attachments.detach(queue, "joe")
        assert (await results(store, queue)).keys() == {5, 6, 7}, "the others are the thief's"
    assert sorted(cohort.step.tolist()) == [0, 0, 2, 2, 2]
    assert await pages_used(engine) == 3


class Deaf(QueueStore):
    """Its completions are carried out, but nobody hears so until `hear` is set."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked, self.hear = asyncio.Event(), asyncio.Event()

    async def complete(self, queue: str, token: str, results: Sequence[tuple[str, bytes]]) -> frozenset[str]:
        accepted = await super().complete(queue, token, results)
        self.asked.set()
        await self.hear.wait()
        return accepted


async def test_who_is_detached_while_its_results_are_taken_keeps_what_it_learned(
    engine: Engine, valkey_url: str, queue: str
) -> None:
    cohort = await start(engine, "joe", 2)
    async with Deaf(valkey_url) as store, Attachments(engine, store) as attachments:
        await put(store, queue, batch(2, steps=4))
        await attachments.attach(attachment(queue, keep_learning=True), None)
        await store.asked.wait()
        detaching = asyncio.create_task(attachments.detach(queue, "joe"))
        await asyncio.sleep(0)
        store.hear.set()
        await detaching
        assert (await store.stats(queue)).done == 2
    assert cohort.step.tolist() == [4, 4]
    assert not cohort.busy.any()


class Unreachable(QueueStore):
    """It takes no results."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked = asyncio.Event()

    async def complete(self, queue: str, token: str, results: Sequence[tuple[str, bytes]]) -> frozenset[str]:
        self.asked.set()
        raise QueueUnavailable("on purpose")


async def test_who_is_detached_before_its_results_are_taken_forgets(
    engine: Engine, valkey_url: str, queue: str
) -> None:
    await start(engine, "joe", 3)
    before = await lives(engine, "joe")
    async with Unreachable(valkey_url) as store, Attachments(engine, store) as attachments:
        await put(store, queue, batch(3))
        await attachments.attach(attachment(queue, keep_learning=True), None)
        await store.asked.wait()
        await attachments.detach(queue, "joe")
        stats = await store.stats(queue)
    assert (stats.ready, stats.leased, stats.done, stats.dead) == (3, 0, 0, 0)
    assert (await lives(engine, "joe")).same_bits(before)
    assert await is_free(engine)
    assert await pages_used(engine) == 0


@pytest.mark.parametrize("keep_learning", [False, True], ids=["nothing", "learning"])
async def test_detaching_gives_items_back_unharmed(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str, keep_learning: bool
) -> None:
    await start(engine, "joe", 20)
    await act(engine, "joe", [0, 1])
    before = await lives(engine, "joe")
    await put(store, queue, batch(20, steps=10**9), chunk_items=3)
    await attachments.attach(attachment(queue, keep_learning=keep_learning), None)
    await wait_until(has(store, queue, leased=20))
    with pytest.raises(AgentsBusy, match="works a queue"):
        await act(engine, "joe", [7])
    assert attachments.attached(queue) == ["joe"]
    await attachments.detach(queue, "joe")
    stats = await store.stats(queue)
    assert (stats.ready, stats.leased, stats.done, stats.dead) == (20, 0, 0, 0)
    lease = await store.lease(queue, 10, 1000)
    assert [chunk.attempt for chunk in lease.chunks] == [1] * 7
    assert (await lives(engine, "joe")).same_bits(before)
    assert await is_free(engine)
    assert await pages_used(engine) == 2
    assert attachments.attached(queue) == []


async def test_detaching_at_any_moment_leaves_nothing_leased_or_busy(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str
) -> None:
    await start(engine, "joe", 30)
    total = 0
    for moment in range(16):
        await put(store, queue, batch(60, first=total, steps=5), chunk_items=5)
        total += 60
        await attachments.attach(attachment(queue, keep_learning=moment % 2 == 0), None)
        for _ in range(moment):
            await asyncio.sleep(0.001)
        await attachments.detach(queue, "joe")
        stats = await store.stats(queue)
        assert (stats.leased, stats.ready + stats.done, stats.dead) == (0, total, 0)
        assert await is_free(engine)
        stepped = (await lives(engine, "joe")).step > 0
        assert await pages_used(engine) == stepped.sum()
    await attachments.attach(attachment(queue), None)
    await wait_until(has(store, queue, done=total))
    await attachments.detach(queue, "joe")
    assert (await results(store, queue)).keys() == set(range(total))


@pytest.mark.parametrize("keep_learning", [False, True], ids=["nothing", "learning"])
async def test_who_is_detached_as_its_items_end_leaves_no_state_behind(
    engine: Engine,
    store: QueueStore,
    attachments: Attachments,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
    keep_learning: bool,
) -> None:
    await start(engine, "joe", 3)
    await act(engine, "joe", [0])
    before = await lives(engine, "joe")
    drive, ending = engine.drive, asyncio.Event()
    with ExitStack() as stack:

        async def hold_up_the_end(job: Generator[None, None, Any]) -> Any:
            if job.gi_code is CohortRun.finish.__code__:
                stack.enter_context(held_up(engine))
                ending.set()
            return await drive(job)

        monkeypatch.setattr(engine, "drive", hold_up_the_end)
        await put(store, queue, batch(3))
        await attachments.attach(attachment(queue, keep_learning=keep_learning), None)
        await ending.wait()
        detaching = asyncio.create_task(attachments.detach(queue, "joe"))
        await let_others_go_on()
    await detaching
    assert (await lives(engine, "joe")).same_bits(before)
    assert await pages_used(engine) == 1
    assert (await store.stats(queue)).ready == 3


async def let_others_go_on() -> None:
    """Return when whoever waits for nothing but its turn has had a few."""
    for _ in range(9):
        await asyncio.sleep(0)


@pytest.mark.parametrize("turns", range(5))
async def test_who_is_detached_while_it_hears_news_leaves(
    engine: Engine, attachments: Attachments, queue: str, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    monkeypatch.setattr(attachments_module, "IDLE_SECONDS", 1000)
    await start(engine, "joe", 1)
    await attachments.attach(attachment(queue), None)
    await wait_until(waits_for_news(attachments))
    attachments.announce(queue)
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.wait_for(attachments.detach(queue, "joe"), 20)
    assert await is_free(engine)


class Clinging(QueueStore):
    """It takes nothing back."""

    async def release(self, queue: str, token: str, ids: Collection[str]) -> None:
        raise RuntimeError("on purpose")


async def test_who_cannot_give_items_back_leaves(engine: Engine, valkey_url: str, queue: str) -> None:
    await start(engine, "joe", 3)
    async with Clinging(valkey_url) as store, Attachments(engine, store) as attachments:
        await put(store, queue, batch(3, steps=10**9))
        await attachments.attach(attachment(queue), None)
        await wait_until(has(store, queue, leased=3))
        await asyncio.wait_for(attachments.detach(queue, "joe"), 20)
    assert await is_free(engine)
    assert await pages_used(engine) == 0


BAD_CHUNKS = {
    "junk": (Chunk(b"\xff\xff\xff", 2), "Error parsing message"),
    "nothing": (Chunk(b"", 2), "is not a resource name of the form tasks/"),
    "another task": (batch(2, task="chess").split()[0], "no task 'chess' is known"),
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
    """The good ones beside them have their results at the first attempt, and the cohort works on."""
    chunk, said = BAD_CHUNKS[what]
    await start(engine, "joe", 600)
    await put(store, queue, batch(5))
    await store.enqueue(queue, "bad", [chunk])
    await put(store, queue, batch(5, first=5))
    await attachments.attach(attachment(queue), None)
    await wait_until(has(store, queue, done=10, dead=2))
    [dead] = await store.dead_chunks(queue, 10)
    assert dead.payload == chunk.payload
    assert re.search(said, dead.error), dead.error
    await put(store, queue, batch(5, first=10))
    await wait_until(has(store, queue, done=15))


async def test_items_of_another_space_are_failed(make_engine: MakeEngine, store: QueueStore, queue: str) -> None:
    engine = make_engine(small_student(Discrete(1), actions=3))
    await start(engine, "joe", 5)
    await put(store, queue, batch(7))
    async with Attachments(engine, store) as attachments:
        await attachments.attach(attachment(queue), None)
        await wait_until(has(store, queue, dead=7))
    stats = await store.stats(queue)
    assert "task 'bandit' has action_space Discrete(2), student 'joe' has Discrete(3)" in stats.last_error
    assert await is_free(engine)


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


class FailsOnce(Student):
    """Fails at the step that comes after `good` more."""

    good = 10**9

    def step(self, pages: Tensor, read_B: Tensor, write_B: Tensor, inputs: Inputs) -> Tensor:
        self.good -= 1
        if self.good == -1:
            raise RuntimeError("once")
        return super().step(pages, read_B, write_B, inputs)


async def test_what_was_learned_on_items_that_are_done_again_is_forgotten(
    make_engine: MakeEngine, store: QueueStore, queue: str
) -> None:
    """The second of two items fails, and both are done again: the first is learned once."""
    model = FailsOnce(small_student().config).eval().requires_grad_(False)
    engine = make_engine(model)
    for name in ("joe", "jane"):
        await start(engine, name, 1, seed=1)
    model.good = 4
    for name in ("joe", "jane"):
        async with Attachments(engine, store) as attachments:
            await put(store, f"{queue}-{name}", batch(2, steps=3))
            await attachments.attach(attachment(f"{queue}-{name}", name, keep_learning=True), None)
            await wait_until(has(store, f"{queue}-{name}", done=2))
    assert model.good < -1
    assert (await lives(engine, "joe")).step.tolist() == [6]
    assert (await lives(engine, "joe")).same_bits(await lives(engine, "jane"))


async def test_a_cohort_is_attached_to_a_queue_once(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str
) -> None:
    cohort = await start(engine, "joe", 4)
    outcomes = await asyncio.gather(
        *(attachments.attach(attachment(queue), np.array([n])) for n in range(4)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(AlreadyExists) == 3
    assert cohort.busy.sum() == 1
    await attachments.detach(queue, "joe")
    assert not cohort.busy.any()
    with pytest.raises(UnknownQueue, match="cohort 'joe' is not attached"):
        await attachments.detach(queue, "joe")


async def test_agents_that_cannot_be_had_are_not_attached(engine: Engine, attachments: Attachments, queue: str) -> None:
    cohort = await start(engine, "joe", 4)
    await attachments.attach(attachment(queue), np.array([1]))
    for name, ordinals, error in (
        ("jane", None, UnknownCohort),
        ("joe", np.array([0, 1]), AgentsBusy),
        ("joe", np.array([], np.int64), InvalidArgument),
    ):
        with pytest.raises(error):
            await attachments.attach(attachment(f"{queue}-2", name), ordinals)
    await attachments.attach(attachment(f"{queue}-2"), np.array([0, 2]))
    assert cohort.busy.tolist() == [True, True, True, False]
    await attachments.detach_all(f"{queue}-2")
    assert cohort.busy.tolist() == [False, True, False, False]


async def test_who_leaves_while_being_attached_is_not(engine: Engine, attachments: Attachments, queue: str) -> None:
    cohort = await start(engine, "joe", 4)
    with held_up(engine):
        attaching = asyncio.ensure_future(attachments.attach(attachment(queue), None))
        await asyncio.sleep(0)
        attaching.cancel()
        await asyncio.wait({attaching})
    await engine.call(lambda pool: None)
    assert not cohort.busy.any()
    assert attachments.attached(queue) == []


def waits_for_news(attachments: Attachments) -> Callable[[], Any]:
    async def all_wait() -> bool:
        return all(worker.news._waiters for worker in attachments._workers.values())

    return all_wait


async def test_news_wakes_who_waits(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments_module, "IDLE_SECONDS", 1000)
    for name in ("joe", "jane"):
        await start(engine, name, 1)
        await attachments.attach(attachment(queue, name), None)
    await wait_until(waits_for_news(attachments))
    await put(store, queue, batch(40), chunk_items=1)
    attachments.announce(queue)
    await wait_until(has(store, queue, done=40))
    assert {message.cohort for message in await result_messages(store, queue)} == {"cohorts/joe", "cohorts/jane"}


@asynccontextmanager
async def private_valkey(folder: Path) -> AsyncIterator[EmbeddedValkey]:
    async with EmbeddedValkey(folder) as valkey:
        keeper = asyncio.create_task(valkey.keep_running())
        try:
            yield valkey
        finally:
            keeper.cancel()
            await asyncio.wait({keeper})


def kill(valkey: EmbeddedValkey) -> None:
    assert valkey._process is not None
    valkey._process.kill()


@pytest.mark.parametrize("keep_learning", [False, True], ids=["nothing", "learning"])
async def test_a_store_that_is_killed_loses_and_doubles_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_learning: bool
) -> None:
    monkeypatch.setattr(shift_module, "VISIBILITY_MS", 1500)
    count = 1500
    await start(engine, "joe", 20)
    async with private_valkey(tmp_path / "queue") as valkey:
        config = ConnectionConfig(patience_s=0.5)
        async with QueueStore(valkey.url, connection=config) as store, Attachments(engine, store) as attachments:
            await put(store, "q", batch(count, steps=2), chunk_items=5)
            await attachments.attach(attachment("q", keep_learning=keep_learning), None)
            for done in (100, 400, 800):
                await wait_until(patiently(has(store, "q", done=done)))
                kill(valkey)
            await wait_until(patiently(has(store, "q", done=count)), timeout_s=60)
            await attachments.detach("q", "joe")
            assert (await results(store, "q")).keys() == set(range(count))
            stats = await store.stats("q")
    assert (stats.done, stats.ready, stats.leased, stats.dead) == (count, 0, 0, 0)
    steps = (await lives(engine, "joe")).step.sum()
    assert steps <= 2 * count if keep_learning else steps == 0


def patiently(fact: Callable[[], Any]) -> Callable[[], Any]:
    async def perhaps() -> bool:
        try:
            return bool(await fact())
        except QueueUnavailable:
            return False

    return perhaps


async def test_detaching_ends_while_the_store_is_away(engine: Engine, tmp_path: Path) -> None:
    await start(engine, "joe", 5)
    before = await lives(engine, "joe")
    async with EmbeddedValkey(tmp_path / "queue") as valkey:
        config = ConnectionConfig(patience_s=0.2)
        async with QueueStore(valkey.url, connection=config) as store, Attachments(engine, store) as attachments:
            await put(store, "q", batch(5, steps=10**9))
            await attachments.attach(attachment("q", keep_learning=True), None)
            await wait_until(has(store, "q", leased=5))
            kill(valkey)
            await asyncio.wait_for(attachments.detach("q", "joe"), 20)
    assert await is_free(engine)
    assert (await lives(engine, "joe")).same_bits(before)
    assert await pages_used(engine) == 0


class Stalling(QueueStore):
    """Its leases take long to come."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.leased, self.go_on = asyncio.Event(), asyncio.Event()

    async def _lease(self, queue: str, chunks: int, visibility_ms: int) -> Lease:
        lease = await super()._lease(queue, chunks, visibility_ms)
        self.leased.set()
        await self.go_on.wait()
        return lease


async def test_a_lease_on_its_way_to_who_leaves_goes_back(engine: Engine, valkey_url: str, queue: str) -> None:
    await start(engine, "joe", 5)
    async with Stalling(valkey_url) as store, Attachments(engine, store) as attachments:
        await put(store, queue, batch(5))
        await attachments.attach(attachment(queue), None)
        await store.leased.wait()
        detaching = asyncio.create_task(attachments.detach(queue, "joe"))
        await asyncio.sleep(0)
        store.go_on.set()
        await detaching
        stats = await store.stats(queue)
    assert (stats.ready, stats.leased) == (5, 0)


def test_batches_of_these_tests_differ() -> None:
    items: NDArray[np.float32] = batch(50).parameters_NP
    assert len(np.unique(items, axis=0)) > 40
