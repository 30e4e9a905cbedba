"""Which parameters make a search: each lies in a range, some are whole numbers."""

from dataclasses import dataclass

import torch
from plures_kernels.errors import InvalidArgument
from torch import Tensor

from .functions import MOST_DIMENSIONS, NAMES

MOST_WHOLE = 2.0**24


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included."""

    low: float
    high: float
    is_whole: bool = False


FUNCTION_RANGES = (
    Range(0, len(NAMES) - 1, True),
    Range(2, MOST_DIMENSIONS, True),
    Range(0, MOST_WHOLE, True),
    Range(0, 1, True),
)
"""Of a function's number, its dimension and instance, and whether it is rotated."""
PLACE_RANGE = Range(-5, 5)
"""Of each coordinate of a start."""


def check_ranges(names: tuple[str, ...], parameters: Tensor, *ranges: Range) -> None:
    """Raise InvalidArgument for the first of the parameters [·, P] that is not in its range."""
    low, high, is_whole = (
        torch.tensor([getattr(each, what) for each in ranges], device=parameters.device)
        for what in ("low", "high", "is_whole")
    )
    good = (parameters >= low) & (parameters <= high) & (~is_whole | (parameters == parameters.floor()))
    if bool(good.all()):
        return
    row, column = (~good).nonzero()[0].tolist()
    wanted = ranges[column]
    raise InvalidArgument(
        f"{names[column]} {parameters[row, column].item()} of row {row} is not a "
        f"{'whole ' if wanted.is_whole else ''}number from {wanted.low:g} to {wanted.high:g}"
    )
