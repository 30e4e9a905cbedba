"""Which lane does which item: each chunk has lanes of its own, and they share its items evenly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plures_server.dealing import deal
from plures_server.queue.items import ItemBatch


def items_of(*steps_of_each: list[int]) -> dict[str, ItemBatch]:
    """A chunk for each list of steps."""
    batches = {}
    for chunk, steps in enumerate(steps_of_each):
        zeros = np.zeros(len(steps), np.uint64)
        batches[str(chunk)] = ItemBatch(
            "bandit", zeros, np.zeros((len(steps), 2), np.float32), zeros, np.array(steps, np.uint32)
        )
    return batches


STEPS = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=40), min_size=1, max_size=8)


@given(steps=STEPS, more=st.integers(0, 100))
def test_every_item_is_done_once_by_lanes_that_are_its_chunks_alone(steps: list[list[int]], more: int) -> None:
    lanes = len(steps) + more
    shares = deal(items_of(*steps), lanes)
    assert [share.chunk for share in shares] == [str(chunk) for chunk in range(len(steps))]
    taken = [lane for share in shares for lane in range(lanes)[share.lanes]]
    assert len(taken) == len(set(taken))
    for share, of_chunk in zip(shares, steps, strict=True):
        assert share.items.steps_N.tolist() == of_chunk
        assert set(share.lane_N.tolist()) == set(range(lanes)[share.lanes]), "no lane is taken for nothing"
        assert len(set(zip(share.turn_N.tolist(), share.lane_N.tolist(), strict=True))) == len(of_chunk)


@given(steps=STEPS, more=st.integers(0, 100))
def test_a_chunks_lanes_share_its_items_evenly_and_the_longest_go_first(steps: list[list[int]], more: int) -> None:
    for share in deal(items_of(*steps), len(steps) + more):
        by_lane = np.bincount(share.lane_N)[share.lanes]
        assert by_lane.max() - by_lane.min() <= 1
        assert (np.diff(share.items.steps_N[np.lexsort((share.lane_N, share.turn_N))].astype(int)) <= 0).all()


@given(steps=STEPS)
def test_with_a_lane_for_every_item_all_are_done_at_once(steps: list[list[int]]) -> None:
    assert not any(share.turn_N.any() for share in deal(items_of(*steps), sum(map(len, steps))))


@pytest.mark.parametrize(
    ("lanes", "items", "lanes_of_each"),
    [
        (1000, [256] * 4, [250] * 4),
        (30, [256], [30]),
        (10, [2, 18], [1, 9]),
        (3, [1, 256], [1, 2]),
        (9, [2, 3], [2, 3]),
    ],
)
def test_lanes_go_where_the_items_are(lanes: int, items: list[int], lanes_of_each: list[int]) -> None:
    shares = deal(items_of(*([1] * count for count in items)), lanes)
    assert [share.lanes.stop - share.lanes.start for share in shares] == lanes_of_each


@given(steps=STEPS, more=st.integers(0, 100))
def test_no_lane_is_idle_while_another_has_two_items(steps: list[list[int]], more: int) -> None:
    lanes = len(steps) + more
    shares = deal(items_of(*steps), lanes)
    assert sum(len(set(share.lane_N.tolist())) for share in shares) == min(lanes, sum(map(len, steps)))
