"""A free list: which of so many numbered places are free. Thousands are taken and given back at once."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int32]


class FreeList:
    """Numbers from `first` on, below `end`, all free at the start; those given back are taken first, the last first."""

    def __init__(self, first: int, end: int) -> None:
        self._first = first
        self._untouched = first
        self._end = end
        self._given_back: list[Numbers] = []
        self._given_back_count = 0

    def __len__(self) -> int:
        """How many are free."""
        return self._end - self._untouched + self._given_back_count

    @property
    def taken(self) -> int:
        """How many are not free."""
        return self._untouched - self._first - self._given_back_count

    def take(self, count: int) -> Numbers:
        """Distinct numbers, no more than are free."""
        assert count <= len(self)
        taken = self._take_given_back(count)
        fresh = count - sum(map(len, taken))
        taken.append(np.arange(self._untouched, self._untouched + fresh, dtype=np.int32))
        self._untouched += fresh
        return np.concatenate(taken)

    def give_back(self, numbers: Numbers) -> None:
        """Numbers that were taken, each once."""
        if len(numbers):
            self._given_back.append(numbers)
            self._given_back_count += len(numbers)

    def grow(self, end: int) -> None:
        """From now on all numbers below `end` are there."""
        self._end = end

    def shrink(self, count: int) -> int:
        """From now on so many of the highest numbers, or as many of them as were never taken, are not there."""
        gone = min(count, self._end - self._untouched)
        self._end -= gone
        return gone

    def _take_given_back(self, count: int) -> list[Numbers]:
        taken: list[Numbers] = []
        while count and self._given_back:
            batch = self._given_back.pop()
            batch, rest = batch[:count], batch[count:]
            if len(rest):
                self._given_back.append(rest)
            taken.append(batch)
            count -= len(batch)
            self._given_back_count -= len(batch)
        return taken
