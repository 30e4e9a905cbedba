"""Names of the columns that hold elements of a space."""

import math
from typing import Any

from gymnasium.spaces import Space


def column_names(space: Space[Any], name: str) -> list[str]:
    """`name` for a space of scalars, else `name_0`, `name_1`, … over the flattened element."""
    shape = space.shape or ()
    return [name] if shape == () else [f"{name}_{i}" for i in range(math.prod(shape))]
