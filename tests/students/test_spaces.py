"""Spaces: their JSON form, their flat encoding, and what is no element of them."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space, flatdim, flatten
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from plures_kernels.errors import InvalidArgument
from plures_students.spaces import check_elements, dtype_of, encode, encoded_width, space_from_json, space_to_json

floats = st.floats(width=32, allow_nan=False)
shapes = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    shape = draw(shapes)
    one, other = (draw(arrays(np.float32, shape, elements=floats)) for _ in range(2))
    low, high = np.minimum(one, other), np.maximum(one, other)
    # gymnasium has no space whose lower limit is +∞.
    return Box(np.where(low == np.inf, 0, low), np.where(high == -np.inf, 0, high), shape, np.float32)


discretes = st.integers(1, 9).map(Discrete)
multidiscretes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(MultiDiscrete)
spaces = st.one_of(discretes, multidiscretes, boxes())


def elements(space: Space[Any], count: int) -> torch.Tensor:
    space.seed(0)
    return torch.stack([torch.as_tensor(space.sample()) for _ in range(count)]).to(dtype_of(space))


@given(spaces)
def test_a_space_comes_back_from_its_json(space: Space[Any]) -> None:
    text = json.dumps(space_to_json(space), allow_nan=False)
    assert space_from_json(json.loads(text)) == space


@pytest.mark.parametrize(
    "space",
    [
        Discrete(3, start=1),
        MultiDiscrete([2, 3], start=[0, 1]),
        MultiDiscrete([[2, 3], [4, 5]]),
        Dict({"a": Discrete(2)}),
    ],
    ids=["a start", "starts", "two axes", "a dict"],
)
def test_a_space_that_would_not_come_back_is_refused(space: Space[Any]) -> None:
    with pytest.raises(InvalidArgument):
        space_to_json(space)


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        {},
        {"type": "Text"},
        {"type": ["Discrete"], "n": 2},
        {"type": "Discrete"},
        {"type": "Discrete", "n": 0},
        {"type": "Discrete", "n": 2.5},
        {"type": "Discrete", "n": True},
        {"type": "Discrete", "n": "2"},
        {"type": "Discrete", "n": 10**30},
        {"type": "MultiDiscrete", "nvec": 3},
        {"type": "MultiDiscrete", "nvec": [2, 0]},
        {"type": "MultiDiscrete", "nvec": [2, 1.5]},
        {"type": "MultiDiscrete", "nvec": []},
        {"type": "Box", "shape": [1], "low": [0]},
        {"type": "Box", "shape": [2], "low": [0], "high": [1]},
        {"type": "Box", "shape": [-1], "low": [0], "high": [1]},
        {"type": "Box", "shape": [1], "low": [2], "high": [1]},
        {"type": "Box", "shape": [1], "low": [math.nan], "high": [1]},
        {"type": "Box", "shape": [1], "low": ["0"], "high": [1]},
        {"type": "Box", "shape": [1], "low": [1e300], "high": [None]},
    ],
    ids=str,
)
def test_what_describes_no_space_is_refused(form: object) -> None:
    with pytest.raises(InvalidArgument):
        space_from_json(form)


@given(spaces)
def test_the_encoding_is_gymnasiums(space: Space[Any]) -> None:
    values = elements(space, 5)
    encoded = encode(space, values)
    assert encoded.dtype == torch.float32
    assert encoded.shape == (5, encoded_width(space))
    if space == Discrete(1):
        return  # gymnasium spends a constant column on it
    assert encoded_width(space) == flatdim(space)
    for row, value in zip(encoded, values, strict=True):
        element = value.item() if isinstance(space, Discrete) else value.numpy()
        np.testing.assert_array_equal(row.numpy(), np.asarray(flatten(space, element), np.float32))


@given(spaces)
def test_leading_axes_stay(space: Space[Any]) -> None:
    values = elements(space, 6)
    lives = values.reshape(2, 3, *values.shape[1:])
    assert torch.equal(encode(space, lives), encode(space, values).reshape(2, 3, encoded_width(space)))


@given(spaces)
def test_what_a_space_samples_are_elements(space: Space[Any]) -> None:
    check_elements(space, elements(space, 4), "observation")


@pytest.mark.parametrize(
    ("space", "bad"),
    [
        (Discrete(3), 3),
        (Discrete(3), -1),
        (MultiDiscrete([2, 5]), 4),
        (Box(-1.0, 1.0, (2, 2)), 1.5),
        (Box(-1.0, 1.0, (2, 2)), math.nan),
        (Box(-np.inf, np.inf, (2,)), math.inf),
        (Box(-np.inf, np.inf, (2,)), math.nan),
    ],
    ids=str,
)
def test_what_is_no_element_is_refused_with_its_row(space: Space[Any], bad: float) -> None:
    values = elements(space, 7)
    values[4].view(-1)[0] = bad
    with pytest.raises(InvalidArgument, match=f"observation {bad} of row 4 is not in"):
        check_elements(space, values, "observation")


@pytest.mark.parametrize(
    ("space", "values"),
    [
        (Discrete(3), torch.zeros(2, dtype=torch.int64)),
        (Discrete(3), torch.zeros(2)),
        (Discrete(3), torch.zeros(2, 1, dtype=torch.int32)),
        (Discrete(3), torch.tensor(7, dtype=torch.int32)),
        (MultiDiscrete([2, 5]), torch.zeros(2, dtype=torch.int32)),
        (MultiDiscrete([2, 5]), torch.zeros(2, 3, dtype=torch.int32)),
        (Box(-1.0, 1.0, (2, 2)), torch.zeros(2, 4)),
        (Box(-1.0, 1.0, (2, 2)), torch.zeros(3, 2, 2, dtype=torch.float64)),
    ],
    ids=lambda value: str(value) if isinstance(value, Space) else f"{value.dtype} {list(value.shape)}",
)
def test_another_dtype_or_shape_is_refused(space: Space[Any], values: torch.Tensor) -> None:
    with pytest.raises(InvalidArgument, match=r"observation is torch\."):
        check_elements(space, values, "observation")
