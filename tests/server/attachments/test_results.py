"""Each item has one result, and it is the item's and the copy's alone."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from plures_server.attachments import Attachments
from plures_server.engine import Engine
from plures_server.queue.items import ItemBatch
from plures_server.queue.store import QueueStore
from plures_server.rpc.convert import array_from

from ..helpers import act, lives, start, wait_until
from ..test_act import pages_used
from .helpers import Summaries, attachment, batch, has, put, result_messages, results


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


def test_batches_of_these_tests_differ() -> None:
    items: NDArray[np.float32] = batch(50).parameters_NP
    assert len(np.unique(items, axis=0)) > 40
