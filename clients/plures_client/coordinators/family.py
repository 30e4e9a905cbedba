"""The results of items and of all that they ask others for, of which nobody knows beforehand how many there are."""

import numpy as np
from numpy.typing import NDArray

from ..errors import DataLoss
from ..items import ResultBatch
from .problem import Results


class Family:
    """Grows with what each result says was asked for; full when there is a result of everything."""

    def __init__(self, items: int, columns: tuple[str, ...]) -> None:
        self._roots, self._columns = items, columns
        self.clear()

    def clear(self) -> None:
        """Begin with no results again."""
        self._batches: list[ResultBatch] = []
        self.size, self.filled = self._roots, 0

    @property
    def is_full(self) -> bool:
        return self.filled == self.size

    def put(self, batch: ResultBatch) -> None:
        """Take results; raise DataLoss for more than there can be."""
        self._batches.append(batch)
        self.filled += len(batch.item)
        self.size += int(batch.asked.sum(dtype=np.int64))
        if self.filled > self.size:
            raise DataLoss(f"{self.filled} results came for {self.size} items; each has exactly one")

    @property
    def item(self) -> NDArray[np.uint64]:
        """The results' items [I], in the order in which they came: whoever asks comes before whom it asks."""
        return np.concatenate([batch.item for batch in self._batches])

    @property
    def parent(self) -> NDArray[np.uint64]:
        """The item that asked for each [I]: itself, for those that a client put on the queue."""
        return np.concatenate([batch.parent for batch in self._batches])

    def results(self) -> Results:
        """All results, in the same order."""
        assert self.is_full
        summary, ordinal = (
            np.concatenate([getattr(batch, name) for batch in self._batches]) for name in ("summary", "ordinal")
        )
        return Results(summary, self._columns, ordinal)
