"""Agents ask agents: items that put items on queues, within limits, if and only if their own results count."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from plures.v1 import queue_pb2
from plures_server.attachments import Attachments
from plures_server.engine import Engine
from plures_server.queue.store import QueueConfig, QueueStore
from plures_server.rpc.convert import array_from
from plures_server.tasks import TASKS, Asks
from plures_server.tasks.bandit import Bandit, BanditEpisode
from torch import Tensor

from ..helpers import start, wait_until
from .helpers import attachment, batch, has, put, result_messages
from .test_learning import Robbed


class Curious(Bandit):
    """A bandit whose items ask for `fan` more, with half the first chance, until that is below a tenth."""

    def __init__(self, fan: int = 2, queue: str | None = None, ends: bool = True) -> None:
        super().__init__(arms=2)
        self.fan, self.queue, self.ends = fan, queue, ends

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> "CuriousEpisode":
        return CuriousEpisode(self, parameters_BP, seed_B, steps_B)


class CuriousEpisode(BanditEpisode):
    def __init__(self, task: Curious, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> None:
        super().__init__(parameters_BP, seed_B, steps_B)
        self.task, self.parameters_BP = task, parameters_BP

    def asks(self) -> Asks:
        wants = self.parameters_BP[:, 0] > (0.1 if self.task.ends else -1.0)
        row_C = wants.nonzero()[:, 0].repeat_interleave(self.task.fan)
        chance_CP = self.parameters_BP[row_C] * torch.tensor([0.5, 1.0])
        return Asks(row_C, chance_CP, torch.full((len(row_C),), 3), queue=self.task.queue)


@pytest.fixture
def curious(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Discrete(2) == Curious().action_space
    monkeypatch.setitem(TASKS, "curious", Curious())
    monkeypatch.setitem(TASKS, "prolific", Curious(fan=9, ends=False))
    monkeypatch.setitem(TASKS, "endless", Curious(fan=1, ends=False))
    monkeypatch.setitem(TASKS, "elsewhere", Curious(queue="other-side"))


@pytest.fixture
async def strict(valkey_url: str) -> AsyncIterator[QueueStore]:
    """A store with low limits."""
    async with QueueStore(valkey_url, QueueConfig(max_depth=3, max_children=8, max_attempts=2)) as store:
        yield store


Family = dict[int, tuple[int, int]]


def family(messages: list[queue_pb2.ResultsResponse]) -> Family:
    """Of each item, who asked for it and how many it asked for; fails when one has two results."""
    found: Family = {}
    for message in messages:
        columns = (array_from(message.item, ""), array_from(message.parent, ""), array_from(message.asked, ""))
        for item, parent, asked in zip(*(column.tolist() for column in columns), strict=True):
            assert item not in found, f"item {item} has two results"
            found[item] = parent, asked
    return found


def one(chance: float, task: str = "curious", count: int = 1):  # type: ignore[no-untyped-def]
    items = batch(count, task=task)
    items.parameters_NP[:, 0] = chance
    return items


@pytest.mark.usefixtures("curious")
async def test_items_ask_for_items_until_none_does(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str
) -> None:
    """0.8 → 0.4 → 0.2 → 0.1: each of three roots begins a tree of 15."""
    await start(engine, "joe", 10)
    await put(store, queue, one(0.8, count=3))
    await attachments.attach(attachment(queue, keep_learning=True), None)
    await wait_until(has(store, queue, done=45))
    found = family(await result_messages(store, queue))
    assert len(found) == 3 + sum(asked for _, asked in found.values()) == 45
    for item, (parent, _) in found.items():
        assert (parent == item) == (item < 3)
        assert parent in found
    for item, (_, asked) in found.items():
        assert asked == sum(parent == item != child for child, (parent, _) in found.items())
    stats = await store.stats(queue)
    assert (stats.ready, stats.leased, stats.dead) == (0, 0, 0)


@pytest.mark.usefixtures("curious")
async def test_what_is_asked_is_a_function_of_the_asker(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str
) -> None:
    await start(engine, "joe", 4)
    trees = []
    for side in ("left", "right"):
        await put(store, f"{queue}-{side}", one(0.5))
        await attachments.attach(attachment(f"{queue}-{side}"), None)
        await wait_until(has(store, f"{queue}-{side}", done=7 + 8))
        await attachments.detach(f"{queue}-{side}", "joe")
        trees.append(family(await result_messages(store, f"{queue}-{side}")))
    assert trees[0] == trees[1]


@pytest.mark.usefixtures("curious")
async def test_who_asks_for_too_many_is_given_up_alone(engine: Engine, strict: QueueStore, queue: str) -> None:
    await start(engine, "joe", 4)
    async with Attachments(engine, strict) as attachments:
        await put(strict, queue, one(0.0, "prolific"))
        await put(strict, queue, one(0.05))
        await attachments.attach(attachment(queue), None)
        await wait_until(has(strict, queue, done=1, dead=1))
    stats = await strict.stats(queue)
    assert stats.last_error == "item 0 asks for 9 items; at most 8 it may"
    assert (stats.ready, stats.leased) == (0, 0)


@pytest.mark.usefixtures("curious")
async def test_chains_of_questions_end(engine: Engine, strict: QueueStore, queue: str) -> None:
    await start(engine, "joe", 1)
    async with Attachments(engine, strict) as attachments:
        await put(strict, queue, one(0.0, "endless"))
        await attachments.attach(attachment(queue), None)
        await wait_until(has(strict, queue, done=3, dead=1))
    assert "to a depth of 3 ask for more" in (await strict.stats(queue)).last_error


@pytest.mark.usefixtures("curious")
async def test_other_agents_are_asked_through_their_queue(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str
) -> None:
    await start(engine, "joe", 2)
    await start(engine, "jane", 2)
    for worker, where in (("joe", queue), ("jane", "other-side")):
        await attachments.attach(attachment(where, worker), None)
    await put(store, queue, one(0.15, "elsewhere"))
    await wait_until(has(store, queue, done=1))

    async def answered() -> bool:
        return "other-side" in await store.queues() and (await store.stats("other-side")).done == 2

    await wait_until(answered)
    [answer] = await result_messages(store, "other-side")
    assert answer.cohort == "cohorts/jane"
    assert array_from(answer.parent, "").tolist() == [0, 0]
    await store.delete("other-side")


@pytest.mark.usefixtures("curious")
async def test_a_refused_result_asks_for_nothing(engine: Engine, valkey_url: str, queue: str) -> None:
    await start(engine, "joe", 5)

    class RobbedOfQuestions(Robbed):
        kinds = ("curious",)

    async with RobbedOfQuestions(valkey_url) as store, Attachments(engine, store) as attachments:
        await put(store, queue, one(0.15, count=5))
        await attachments.attach(attachment(queue, keep_learning=True), None)
        await wait_until(has(store, queue, done=5))
        await attachments.detach(queue, "joe")
        stats = await store.stats(queue)
    assert (stats.ready, stats.leased, stats.done) == (0, 0, 5)


@pytest.mark.usefixtures("curious")
async def test_several_servers_share_a_queue(engine: Engine, valkey_url: str, queue: str) -> None:
    for name in ("joe", "jane"):
        await start(engine, name, 3)
    async with QueueStore(valkey_url) as here, QueueStore(valkey_url) as there:
        async with Attachments(engine, here) as ours, Attachments(engine, there) as theirs:
            await put(here, queue, one(0.8, count=20), chunk_items=2)
            await ours.attach(attachment(queue, "joe"), None)
            await theirs.attach(attachment(queue, "jane"), None)
            await wait_until(has(here, queue, done=300))
        messages = await result_messages(here, queue)
    assert len(family(messages)) == 300
    assert {message.cohort for message in messages} == {"cohorts/joe", "cohorts/jane"}
    assert np.sum([len(array_from(message.item, "")) for message in messages]) == 300
