"""Which agents are meant."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plures_client import ordinals
from plures_client.errors import InvalidArgument

SELECTIONS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.builds(lambda first, count: range(first, first + count), st.integers(0, 2**31), st.integers(0, 1000)),
    st.lists(st.integers(0, 2**32 - 1), max_size=50, unique=True),
)


def meant(message):
    if message.WhichOneof("selection") == "range":
        return list(range(message.range.first, message.range.first + message.range.count))
    return np.frombuffer(message.packed, "<u4").tolist()


@given(SELECTIONS)
def test_the_message_means_the_ordinals_given(selection):
    expected = [selection] if isinstance(selection, int) else list(selection)

    assert meant(ordinals.encode(selection)) == expected
    assert ordinals.count(selection) == len(expected)


@given(SELECTIONS, st.integers(1, 60))
def test_parts_make_up_the_whole(selection, most):
    parts = list(ordinals.slices(selection, most))
    everyone = meant(ordinals.encode(selection))

    assert [n for part, _ in parts for n in meant(ordinals.encode(part))] == everyone
    assert all(everyone[rows] == meant(ordinals.encode(part)) for part, rows in parts)
    assert all(ordinals.count(part) <= most for part, _ in parts)


def test_none_means_all_and_is_not_cut():
    assert ordinals.encode(None) is None
    assert list(ordinals.slices(None, 10)) == [(None, slice(None))]


@pytest.mark.parametrize("selection", [-1, range(-1, 3), [2**32], [0.5], [[1]], np.array([-1])])
def test_what_no_ordinal_can_be_is_refused(selection):
    with pytest.raises(InvalidArgument):
        ordinals.encode(selection)


def test_every_second_agent_can_be_meant():
    assert meant(ordinals.encode(range(0, 10, 2))) == [0, 2, 4, 6, 8]
