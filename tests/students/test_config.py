"""A student's config: what it refuses, what follows from it, and its JSON form."""

import json
from typing import Any

import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space, Text
from hypothesis import given
from hypothesis import strategies as st
from plures_kernels.errors import InvalidArgument
from plures_students.config import StudentConfig

from .test_spaces import spaces

SIZES = ("width", "layers", "heads", "key_width", "value_width", "mlp_width", "inner_steps", "window")

sizes = st.fixed_dictionaries(
    {name: st.integers(1, 4096) for name in SIZES} | {"width": st.integers(1, 256).map((16).__mul__)}
)


@given(spaces, st.integers(1, 9), sizes)
def test_a_config_comes_back_from_its_json(observation: Space[Any], actions: int, sizes: dict[str, int]) -> None:
    config = StudentConfig(observation, Discrete(actions), **sizes)
    assert StudentConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_the_default_page_is_4_kib() -> None:
    config = StudentConfig(Discrete(1), Discrete(2))
    assert config.state_shape == (2, 2, 256)
    assert 4 * config.page_floats == 4096


@pytest.mark.parametrize(
    ("space", "size"), [(Discrete(1), 1), (Discrete(7), 7), (MultiDiscrete([3, 4]), 12), (Box(0, 1), None)], ids=str
)
def test_how_many_observations_there_are(space: Space[Any], size: int | None) -> None:
    assert StudentConfig(space, Discrete(2)).observation_size == size


@pytest.mark.parametrize(
    "spaces",
    [
        (Text(3), Discrete(2)),
        (Discrete(3, start=1), Discrete(2)),
        (MultiDiscrete([2, 3], start=[1, 1]), Discrete(2)),
        (Discrete(3), Box(0, 1)),
        (Discrete(3), MultiDiscrete([2])),
        (Discrete(3), Discrete(2, start=1)),
    ],
    ids=str,
)
def test_spaces_that_no_student_can_have_are_refused(spaces: tuple[Any, Any]) -> None:
    with pytest.raises(InvalidArgument):
        StudentConfig(*spaces)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("size", [0, -1, 4097])
def test_sizes_beyond_the_limits_are_refused(name: str, size: int) -> None:
    with pytest.raises(InvalidArgument, match=f"{name} {size} is not in 1 … 4096"):
        StudentConfig(Discrete(1), Discrete(2), **{name: size})


def test_a_width_that_rows_would_not_start_alike_in_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="width 24 is not a multiple of 16"):
        StudentConfig(Discrete(1), Discrete(2), width=24)


@pytest.mark.parametrize(
    "change",
    [
        {"rule": "magic"},
        {"rule": ["gated_delta"]},
        {"width": "32"},
        {"width": 32.0},
        {"width": True},
        {"depth": 3},
        {"action_space": {"type": "Box", "shape": [1], "low": [0], "high": [1]}},
        {"observation_space": None},
    ],
    ids=str,
)
def test_entries_that_are_wrong_are_refused(change: dict[str, Any]) -> None:
    form = StudentConfig(Discrete(1), Discrete(2)).to_json()
    with pytest.raises(InvalidArgument):
        StudentConfig.from_json({**form, **change})


@pytest.mark.parametrize("name", ["rule", "observation_space", "action_space", *SIZES])
def test_a_missing_entry_is_refused(name: str) -> None:
    form = StudentConfig(Discrete(1), Discrete(2)).to_json()
    del form[name]
    with pytest.raises(InvalidArgument, match="a student config has the entries"):
        StudentConfig.from_json(form)


@pytest.mark.parametrize("form", [None, [], "config", 3])
def test_what_is_no_object_is_refused(form: object) -> None:
    with pytest.raises(InvalidArgument, match="a student config has the entries"):
        StudentConfig.from_json(form)
