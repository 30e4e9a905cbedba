"""What is learned on an item is kept when its result counts, and only then."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import torch
from plures.v1 import queue_pb2
from plures_server import holdings as holdings_module
from plures_server.attachments import Attachments
from plures_server.engine import Engine
from plures_server.errors import QueueUnavailable
from plures_server.pool import Pool
from plures_server.queue.chunks import Result
from plures_server.queue.store import QueueStore
from plures_server.rpc.convert import tensor_to
from plures_server.runs import CohortRun, run_to_end, take
from plures_server.tasks import Watched, get_task
from plures_students.model import Inputs, Student
from torch import Tensor

from ..conftest import MakeEngine
from ..helpers import lives, small_student, start, wait_until
from ..test_act import pages_used
from .helpers import attachment, batch, has, is_free, put, results


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
        episode = Watched("bandit", get_task("bandit"), parameters, seed, four)
        return lambda pool: take(pool, engine.steppers["joe"], pool.get("jane"), one, episode, four)

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

    kinds: tuple[str, ...] = ("bandit",)

    def __init__(self, url: str) -> None:
        self.now_ms = 1_000
        super().__init__(url, clock=lambda: self.now_ms)
        self.thief = QueueStore(url, clock=lambda: self.now_ms)
        self.is_robbed = False

    async def complete(self, queue: str, token: str, results: Sequence[Result]) -> frozenset[str]:
        if not self.is_robbed:
            self.is_robbed = True
            self.now_ms += holdings_module.VISIBILITY_MS + 1
            loot = await self.thief.lease(queue, len(results), 10_000, self.kinds)
            stolen = [Result(chunk.id, NO_RESULTS) for chunk in loot.chunks]
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


class Forgetful(QueueStore):
    """Before its second completion, it gives the items of that one to others."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.completions = 0

    async def complete(self, queue: str, token: str, results: Sequence[Result]) -> frozenset[str]:
        self.completions += 1
        if self.completions == 2:
            await self.release(queue, token, [result.chunk for result in results])
        return await super().complete(queue, token, results)


async def test_what_was_learned_is_kept_though_results_of_the_same_shift_are_refused(
    engine: Engine, valkey_url: str, queue: str
) -> None:
    """Of two chunks, more items than copies, one is refused, and done again: each item is learned once."""
    cohort = await start(engine, "joe", 4)
    async with Forgetful(valkey_url) as store, Attachments(engine, store) as attachments:
        await put(store, queue, batch(6, steps=[2, 2, 2, 3, 3, 3]), chunk_items=3)
        await attachments.attach(attachment(queue, keep_learning=True), None)
        await wait_until(has(store, queue, done=6))
        await attachments.detach(queue, "joe")
        assert (await results(store, queue)).keys() == set(range(6))
        assert store.completions == 3
    assert cohort.step.sum() == 15
    assert await pages_used(engine) == (cohort.step > 0).sum()


class Deaf(QueueStore):
    """Its completions are carried out, but nobody hears so until `hear` is set."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked, self.hear = asyncio.Event(), asyncio.Event()

    async def complete(self, queue: str, token: str, results: Sequence[Result]) -> frozenset[str]:
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
    """After some completions it takes no results."""

    def __init__(self, url: str, good: int = 0) -> None:
        super().__init__(url)
        self.good, self.asked = good, asyncio.Event()

    async def complete(self, queue: str, token: str, results: Sequence[Result]) -> frozenset[str]:
        self.good -= 1
        if self.good >= 0:
            return await super().complete(queue, token, results)
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


async def test_who_is_detached_when_half_its_results_are_taken_keeps_that_half(
    engine: Engine, valkey_url: str, queue: str
) -> None:
    cohort = await start(engine, "joe", 4)
    async with Unreachable(valkey_url, good=1) as store, Attachments(engine, store) as attachments:
        await put(store, queue, batch(6, steps=[2, 2, 2, 3, 3, 3]), chunk_items=3)
        await attachments.attach(attachment(queue, keep_learning=True), None)
        await store.asked.wait()
        await attachments.detach(queue, "joe")
        stats = await store.stats(queue)
        assert (await results(store, queue)).keys() == {0, 1, 2}
    assert (stats.ready, stats.leased, stats.done, stats.dead) == (3, 0, 3, 0)
    assert cohort.step.sum() == 6
    assert not cohort.busy.any()
    assert await pages_used(engine) == (cohort.step > 0).sum()


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
