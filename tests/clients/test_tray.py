"""Exactly one result an item."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plures_client.coordinators.tray import Tray
from plures_client.errors import DataLoss, InvalidArgument
from plures_client.items import Items, ResultBatch

COLUMNS = ("gain", "cost")


def items(count, first=0):
    return Items.of("bandit", np.zeros((count, 2)), steps=1, seed=0).numbered_from(first)


def batch(numbers, columns=2):
    numbers = np.asarray(numbers, np.uint64)
    summary = np.repeat(numbers[:, None], columns, axis=1).astype(np.float32)
    each = numbers.astype(np.uint32)
    return ResultBatch("1-0", numbers, summary, "joe", each, parent=numbers, asked=0 * each)


@given(st.integers(1, 50), st.integers(0, 2**40), st.randoms(use_true_random=False), st.integers(1, 60))
def test_results_come_in_any_order_and_stand_in_the_items(count, first, random, most):
    tray = Tray(items(count, first), COLUMNS)
    numbers = list(range(first, first + count))
    random.shuffle(numbers)
    for start in range(0, count, most):
        assert not tray.is_full
        tray.put(batch(numbers[start : start + most]))

    assert tray.is_full
    assert tray.filled == tray.size == count
    results = tray.results()
    np.testing.assert_array_equal(results.column("gain"), np.arange(first, first + count).astype(np.float32))
    np.testing.assert_array_equal(results.ordinal, np.arange(first, first + count).astype(np.uint32))


@pytest.mark.parametrize("numbers", [[3, 3], [1], [9], [15]])
def test_a_second_result_and_a_strange_one_are_refused(numbers):
    tray = Tray(items(5, first=0 if numbers[0] < 9 else 10), COLUMNS)
    if numbers == [1]:
        tray.put(batch([1]))
    with pytest.raises(DataLoss):
        tray.put(batch(numbers))


def test_a_summary_of_another_task_is_refused():
    with pytest.raises(DataLoss, match="3 columns came for gain, cost"):
        Tray(items(2), COLUMNS).put(batch([0], columns=3))


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    tray = Tray(items(1), COLUMNS)
    tray.put(batch([0]))

    with pytest.raises(InvalidArgument, match="no column loss; it has gain, cost"):
        tray.results().column("loss")
