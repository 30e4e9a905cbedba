"""Dealing: which lane does which item of a shift, and when.

N items of a chunk, C chunks, L lanes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .queue.items import ItemBatch


@dataclass(frozen=True)
class Share:
    """A chunk's items and the lanes that do them and no others: item i on lane `lane_N[i]`, as its `turn_N[i]`-th."""

    chunk: str
    items: ItemBatch
    lanes: slice
    lane_N: NDArray[np.int64]
    turn_N: NDArray[np.int64]


def deal(items_of: Mapping[str, ItemBatch], lanes: int) -> list[Share]:
    """Give each chunk lanes of its own, so that what a lane learned hangs on one result. At most as many as lanes.

    A chunk's items with most steps go first, so that those done in one turn are of like length.
    """
    counts_C = _lanes_of_each([len(items) for items in items_of.values()], lanes)
    firsts_C = np.cumsum(counts_C) - counts_C
    dealt = zip(items_of.items(), firsts_C.tolist(), counts_C.tolist(), strict=True)
    return [_share(chunk, items, first, count) for (chunk, items), first, count in dealt]


def _lanes_of_each(items_C: list[int], lanes: int) -> NDArray[np.int64]:
    """A lane an item while there are enough; else one a chunk, and the others about in proportion to its items."""
    total, chunks = sum(items_C), len(items_C)
    assert chunks <= lanes
    others = min(lanes, total) - chunks
    others_until_C = others * np.cumsum(np.array(items_C) - 1) // max(total - chunks, 1)
    counts_C: NDArray[np.int64] = 1 + np.diff(others_until_C, prepend=0)
    return counts_C


def _share(chunk: str, items: ItemBatch, first: int, count: int) -> Share:
    place_N = np.empty(len(items), np.int64)
    place_N[np.argsort(-items.steps_N.astype(np.int64), kind="stable")] = np.arange(len(items))
    return Share(chunk, items, slice(first, first + count), first + place_N % count, place_N // count)
