"""Students of different rules made comparable: as many slow weights, as many bytes of state."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from gymnasium.spaces import Discrete, Space
from plures_kernels.errors import InvalidArgument

from ..config import MAX_WIDTH, StudentConfig
from ..model import Student

_BYTES = 4
_WIDTHS = 32, 16
_HEADS = 1, 2, 4, 8, 16, 32, 64
_CHANNELS = 8, 16, 32, 4


@dataclass(frozen=True)
class Size:
    """What students may take: slow weights, and bytes of state an agent. States come out at most 3 % smaller."""

    parameters: int = 32_000
    state_bytes: int = 1024


def parameters(config: StudentConfig) -> int:
    """How many slow weights a student of that config has."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in Student(config).parameters())


def state_bytes(config: StudentConfig) -> int:
    """Bytes of one agent's fast weights."""
    return _BYTES * config.page_floats


def with_parameters(config: StudentConfig, wanted: int) -> StudentConfig:
    """The config with the width of its MLPs chosen so that it has about as many slow weights as wanted.

    InvalidArgument: all else already takes more.
    """
    least, more = (parameters(replace(config, mlp_width=width)) for width in (1, 2))
    width = 1 + round((wanted - least) / (more - least))
    if not 1 <= width <= MAX_WIDTH:
        raise InvalidArgument(
            f"a {config.rule} student of these sizes has {least:,} slow weights or more, not {wanted:,}; shrink it"
        )
    return replace(config, mlp_width=width)


def sized(observation_space: Space[Any], action_space: Discrete, rule: str, think: int, size: Size) -> StudentConfig:
    """The widest student of a rule, of the fewest heads, that has the size; its context, if any, is the longest.

    InvalidArgument: there is none.
    """
    for width in _WIDTHS:
        plain = StudentConfig(observation_space, action_space, rule, width=width, think=think)
        for config in _of_state(plain, size.state_bytes):
            try:
                return with_parameters(config, size.parameters)
            except InvalidArgument:
                continue
    raise InvalidArgument(
        f"no {rule} student has {size.parameters:,} slow weights and {size.state_bytes:,} bytes of state; "
        "allow more weights, or less state"
    )


def _of_state(plain: StudentConfig, wanted: int) -> Iterator[StudentConfig]:
    """Square shapes of about so many bytes; a context gives a value's channel for the mark that a token is there."""
    for channels, heads in product(_CHANNELS, _HEADS):
        shape = replace(plain, heads=heads, key_width=channels, value_width=channels)
        if plain.rule == "context":
            shape = replace(shape, value_width=channels - 1, window=1)
            shape = replace(shape, window=max(1, wanted // state_bytes(shape)))
        if 0.97 * wanted <= state_bytes(shape) <= wanted:
            yield shape
