"""Where results are collected: exactly one an item, in the items' order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataLoss
from ..items import Items, ResultBatch
from .problem import Results


class Tray:
    """A place for the result of each of `items`, which are numbered consecutively."""

    def __init__(self, items: Items, columns: tuple[str, ...]) -> None:
        self.items = items
        self._is_once = True
        self._columns = columns
        self._first = int(items.item[0]) if len(items) else 0
        self._summary = np.full((len(items), len(columns)), np.nan, np.float32)
        self._ordinal = np.zeros(len(items), np.uint32)
        self._filled = np.zeros(len(items), np.bool_)

    @property
    def size(self) -> int:
        """Items there are."""
        return len(self._filled)

    @property
    def filled(self) -> int:
        """Items that have their result."""
        return int(np.count_nonzero(self._filled))

    @property
    def is_full(self) -> bool:
        return bool(self._filled.all())

    def holds(self, item: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these items are on this tray."""
        place = item.astype(np.int64) - self._first
        held: NDArray[np.bool_] = (place >= 0) & (place < len(self._filled))
        return held

    def expects_again(self) -> None:
        """Items are done once more: of those that have their result already, further ones are passed over."""
        self._is_once = False

    def put(self, batch: ResultBatch) -> None:
        """Take results; raise DataLoss for an item that is not ours, or has its result already."""
        if not self._is_once:
            batch = batch.rows(self._lacks(batch.item))
        place: NDArray[Any] = batch.item.astype(np.int64) - self._first
        if batch.summary.shape[1] != len(self._columns):
            raise DataLoss(f"a summary of {batch.summary.shape[1]} columns came for {', '.join(self._columns)}")
        strange = (place < 0) | (place >= len(self._filled))
        if strange.any():
            raise DataLoss(f"a result came for item {batch.item[strange.argmax()]}, which is not on this tray")
        taken, times = np.unique(place, return_counts=True)
        if times.max(initial=1) > 1 or self._filled[taken].any():
            raise DataLoss("an item's result came twice, though each item has exactly one")
        self._summary[place], self._ordinal[place], self._filled[place] = batch.summary, batch.ordinal, True

    def _lacks(self, item: NDArray[np.uint64]) -> NDArray[np.bool_]:
        place = item.astype(np.int64) - self._first
        lacks: NDArray[np.bool_] = ~self._filled[place]
        return lacks

    def results(self) -> Results:
        """All results, once full."""
        assert self.is_full
        return Results(self._summary, self._columns, self._ordinal)
