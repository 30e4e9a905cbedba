"""Items and parameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plures.v1.queue_pb2 import EnqueueRequest
from plures_client import AsyncClient
from plures_client.aio.wire import MAX_MESSAGE_BYTES
from plures_client.errors import InvalidArgument
from plures_client.items import Items, parameter_rows
from plures_client.tensors import decode


@given(st.integers(1, 40), st.integers(1, 50))
def test_messages_make_up_the_items(count, most):
    items = Items.of("bandit", np.arange(2 * count).reshape(count, 2), steps=np.arange(1, count + 1), seed=3)
    messages = list(items.numbered_from(100).messages(most))

    assert {message.task for message in messages} == {"tasks/bandit"}
    for field, dtype, shape, values in [
        ("item", np.uint64, (None,), np.arange(100, 100 + count)),
        ("parameters", np.float32, (None, 2), items.parameters),
        ("seed", np.uint64, (None,), items.seed),
        ("steps", np.uint32, (None,), items.steps),
    ]:
        sent = np.concatenate([decode(getattr(message, field), dtype, shape) for message in messages])
        np.testing.assert_array_equal(sent, values)
    assert items.total_steps == count * (count + 1) // 2


async def test_items_of_many_parameters_go_in_messages_that_the_wire_takes():
    queue = AsyncClient("127.0.0.1:1").queue("q")
    items = Items.of("wide", np.zeros((20_000, 400), np.float32), steps=1, seed=3)
    sizes = [request.ByteSize() async for request in queue._requests(items, "id", EnqueueRequest())]
    assert len(sizes) == 4
    assert max(sizes) < MAX_MESSAGE_BYTES


def test_one_seed_gives_every_item_a_seed_of_its_own_that_follows_from_it():
    items = Items.of("bandit", np.zeros((1000, 2)), steps=1, seed=7)

    assert len(set(items.seed.tolist())) == 1000
    np.testing.assert_array_equal(items.seed, Items.of("bandit", np.zeros((1000, 2)), steps=1, seed=7).seed)


@pytest.mark.parametrize("wrong", [{"steps": [1, 2]}, {"seed": [1, 2]}, {"steps": -1}, {"parameters": [0.5]}])
def test_items_of_different_extents_are_refused(wrong):
    with pytest.raises(InvalidArgument):
        Items.of("bandit", **{"parameters": np.zeros((3, 2)), "steps": 1, "seed": 1, **wrong})


@pytest.mark.parametrize(
    ("given_", "rows"),
    [
        ({"p_1": 0.75, "p_0": 0.25}, [[0.25, 0.75]]),
        ({"p_0": [0.25, 0.5], "p_1": 0.75}, [[0.25, 0.75], [0.5, 0.75]]),
        ([0.25, 0.75], [[0.25, 0.75]]),
        ([[0.25, 0.75]], [[0.25, 0.75]]),
    ],
)
def test_parameters_come_by_name_or_in_the_tasks_order(given_, rows):
    assert parameter_rows(given_, ["p_0", "p_1"]).tolist() == rows


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"p_0": 0.25}, "parameters p_0 given; the task takes p_0, p_1"),
        ({}, "parameters none given"),
        ([0.25, 0.5, 0.75], r"shape \(1, 3\)"),
        ({"p_0": [0.1, 0.2], "p_1": [0.1, 0.2, 0.3]}, "different extents"),
        ({"p_0": "high", "p_1": 0.5}, "float32 is wanted"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_with_what_the_task_takes(given_, words):
    with pytest.raises(InvalidArgument, match=words):
        parameter_rows(given_, ["p_0", "p_1"])
