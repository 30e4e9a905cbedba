"""Pages of fast weights: reference-counted rows of one device tensor, copied at the first write after a share."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from plures_kernels.memory import empty_pages

from .errors import PoolFull

Slots = NDArray[np.int32]

NEWBORN = 0
"""The page of zeros that every newborn agent reads from; never written, never freed."""
# numpy is seventy times as fast when it need not convert what it adds.
_ONE = np.int32(1)


@dataclass(frozen=True)
class Turnover:
    """Where states come from and go to in the next write: same page for an owner, a fresh one for a sharer."""

    read: Slots
    write: Slots
    moved: NDArray[np.bool_]


class Pages:
    """`capacity` pages of `page_floats` float32. A page with more than one reference is immutable.

    The tensor is not touched until pages are handed out, so unused capacity on a CPU costs no memory.
    """

    def __init__(self, capacity: int, page_floats: int, device: torch.device) -> None:
        self.data = empty_pages(capacity, page_floats, device=device)
        self.data[NEWBORN].zero_()
        self._references = np.zeros(capacity, np.int32)
        self._references[NEWBORN] = 1
        self._freed: list[Slots] = []
        self._freed_count = 0
        self._untouched = 1

    @property
    def capacity(self) -> int:
        return int(self.data.shape[0])

    @property
    def page_bytes(self) -> int:
        return int(self.data.shape[1]) * 4

    @property
    def used(self) -> int:
        """Pages that hold some agent's state; the newborn page does not count."""
        return self._untouched - 1 - self._freed_count

    @property
    def free(self) -> int:
        return self.capacity - 1 - self.used

    def references(self, pages: Slots) -> NDArray[np.int32]:
        return self._references[pages]

    def acquire(self, count: int) -> Slots:
        """`count` distinct pages of undefined content, one reference each; raise PoolFull and change nothing."""
        if count > self.free:
            raise PoolFull(
                f"{count:,} more states of {self.page_bytes:,} bytes are needed and {self.free:,} are free; "
                "retire agents or start the server with more --memory"
            )
        pages = self._take_freed(count)
        fresh = count - len(pages)
        new = np.arange(self._untouched, self._untouched + fresh, dtype=np.int32)
        self._untouched += fresh
        pages = np.concatenate([pages, new])
        self._references[pages] = 1
        return pages

    def retain(self, pages: Slots) -> None:
        """One more reference for each entry."""
        np.add.at(self._references, pages, _ONE)

    def release(self, pages: Slots) -> None:
        """One reference less for each entry; pages without any are free."""
        np.subtract.at(self._references, pages, _ONE)
        gone = self._each_once(pages[self._references[pages] == 0])
        if len(gone):
            self._freed.append(gone)
            self._freed_count += len(gone)

    def turn_over(self, pages: Slots) -> Turnover:
        """Make every page writable by its one holder: sharers get fresh pages; raise PoolFull and change nothing.

        The caller writes the states and then calls `settle`.
        """
        moved = self._references[pages] > 1
        write = pages.copy()
        write[moved] = self.acquire(int(moved.sum()))
        return Turnover(read=pages, write=write, moved=moved)

    def settle(self, turnover: Turnover) -> None:
        """The states are written: give up the pages they were read from."""
        self.release(turnover.read[turnover.moved])

    def _each_once(self, unreferenced: Slots) -> Slots:
        # To sort a million pages takes a second. Their counts, all 0, serve to mark the last mention of each.
        marks = np.arange(1, 1 + len(unreferenced), dtype=np.int32)
        self._references[unreferenced] = marks
        last_mentions: Slots = unreferenced[self._references[unreferenced] == marks]
        self._references[unreferenced] = 0
        return last_mentions

    def _take_freed(self, count: int) -> Slots:
        taken: list[Slots] = []
        while count and self._freed:
            batch = self._freed.pop()
            batch, rest = batch[:count], batch[count:]
            if len(rest):
                self._freed.append(rest)
            taken.append(batch)
            count -= len(batch)
            self._freed_count -= len(batch)
        return np.concatenate([np.empty(0, np.int32), *taken])
