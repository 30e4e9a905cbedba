"""Items from the wire, cut into chunks and put together again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from plures.v1 import queue_pb2, tensor_pb2
from plures_server.errors import InvalidArgument
from plures_server.queue.items import ItemBatch


def batch(items: int, parameters: int = 3) -> ItemBatch:
    return ItemBatch(
        "bandit",
        item_N=np.arange(items, dtype=np.uint64),
        parameters_NP=np.ones((items, parameters), np.float32),
        seed_N=~np.arange(items, dtype=np.uint64),
        steps_N=np.ones(items, np.uint32),
    )


@st.composite
def batches(draw: st.DrawFn) -> ItemBatch:
    items, parameters = draw(st.integers(1, 40)), draw(st.integers(0, 4))
    return ItemBatch(
        "bandit",
        draw(arrays(np.uint64, items)),
        draw(arrays(np.float32, (items, parameters))),
        draw(arrays(np.uint64, items)),
        draw(arrays(np.uint32, items, elements=st.integers(1, 2**32 - 1))),
    )


@given(batches(), st.integers(1, 50))
def test_chunks_put_together_are_the_items(whole: ItemBatch, chunk_items: int) -> None:
    chunks = ItemBatch.decode(whole.encode()).split(chunk_items)
    parts = [ItemBatch.load(chunk.payload) for chunk in chunks]
    assert [len(part) for part in parts] == [chunk.items for chunk in chunks]
    assert all(chunk.items == chunk_items for chunk in chunks[:-1])
    assert {part.task for part in parts} == {"bandit"}
    for name in ("item_N", "parameters_NP", "seed_N", "steps_N"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name), strict=True)


def test_a_chunk_is_the_wire_message_of_its_items() -> None:
    [first, second] = batch(300).split()
    message = queue_pb2.TaskItems.FromString(second.payload)
    assert (first.items, second.items) == (256, 44)
    assert message.task == "tasks/bandit"
    assert np.frombuffer(message.item.data, "<u8").tolist() == list(range(256, 300))


def _spoil(message: queue_pb2.TaskItems, how: str) -> None:
    if how == "task":
        message.task = "bandit"
    elif how == "rows":
        message.seed.CopyFrom(batch(3).encode().seed)
    elif how == "no items":
        message.CopyFrom(batch(0).encode())
    elif how == "no steps":
        message.steps.data = np.array([1, 0], "<u4").tobytes()
    elif how == "type":
        message.item.data_type = tensor_pb2.DATA_TYPE_INT64
    elif how == "axes":
        message.parameters.shape[:] = [6]
    elif how == "short data":
        message.steps.data = message.steps.data[:-1]
    elif how == "missing":
        message.ClearField("item")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("task", "'bandit' is not a resource name of the form tasks/…"),
        ("rows", "seed has 3 rows for 2 items"),
        ("no items", "there are no items"),
        ("no steps", "item 1 has 0 steps"),
        ("type", "item is DATA_TYPE_INT64"),
        ("axes", r"parameters is DATA_TYPE_FLOAT32 \[6\]"),
        ("short data", "steps of shape"),
        ("missing", "item has data_type 0"),
    ],
)
def test_items_that_break_the_contract_are_refused(how: str, why: str) -> None:
    message = batch(2).encode()
    _spoil(message, how)
    with pytest.raises(InvalidArgument, match=why):
        ItemBatch.decode(message)
