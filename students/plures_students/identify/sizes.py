"""Students of different rules made comparable: as many slow weights, as many bytes of state."""

from dataclasses import replace

import torch
from plures_kernels.errors import InvalidArgument

from ..config import MAX_WIDTH, StudentConfig
from ..model import Student

_BYTES = 4


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
