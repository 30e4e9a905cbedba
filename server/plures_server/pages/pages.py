"""Pages of fast weights: reference-counted, copied at the first write after a share. Where they lie is `Places`' part.

Shapes: B rows of a wave, N pages, F floats of a page.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import PoolFull
from .free_list import FreeList
from .places import NEWBORN, Handles, Places, Slots, TierUsage

# numpy is seventy times as fast when it need not convert what it adds.
_ONE = np.int32(1)


@dataclass(frozen=True)
class Turnover:
    """Where states come from and go to in the next write: same page for an owner, a fresh one for a sharer [B]."""

    read: Handles
    write: Handles
    moved: NDArray[np.bool_]

    @classmethod
    def at_rest(cls, pages: Handles) -> "Turnover":
        """Each page read and written by its owner."""
        return cls(pages, pages, np.zeros(len(pages), np.bool_))

    @classmethod
    def join(cls, parts: "list[Turnover]") -> "Turnover":
        """Several as one."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("read", "write", "moved")))


class Pages:
    """Pages known by handles. A page with more than one reference is immutable."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._references = np.zeros(places.capacity, np.int32)
        self._references[NEWBORN] = 1
        self._handles = FreeList(NEWBORN + 1, places.capacity)
        self._lent = 0

    @property
    def data(self) -> Tensor:
        """What is stepped: the hot pages [N, F], by slot."""
        return self.places.hot_NF

    @property
    def capacity(self) -> int:
        """Pages that can be in use at the same time, the newborn page among them."""
        return self.places.capacity - self._lent

    @property
    def page_bytes(self) -> int:
        return int(self.data.shape[1]) * 4

    @property
    def used(self) -> int:
        """Pages that hold some agent's state; the newborn page does not count."""
        return self.capacity - 1 - self.free

    @property
    def free(self) -> int:
        return len(self._handles)

    def usage(self) -> list[TierUsage]:
        """What lies in each tier, from the hottest on."""
        hottest, *colder = self.places.usage(self.used)
        lent = self._lent * self.page_bytes
        return [replace(hottest, bytes_capacity=hottest.bytes_capacity - lent), *colder]

    def lend(self, count: int) -> None:
        """Do without so many pages, or as many of them as memory was never taken for."""
        if self.places.most_rows is None and self.data.device.type == "cpu":
            self._lent += self._handles.shrink(count)

    def take_back(self, most: int) -> None:
        """Have pages again that were lent, up to so many."""
        self._lent -= min(most, self._lent)
        self._handles.grow(self.capacity)

    def references(self, pages: Handles) -> NDArray[np.int32]:
        return self._references[pages]

    def acquire(self, count: int) -> Handles:
        """`count` distinct pages of undefined content, one reference each; raise PoolFull and change nothing."""
        if count > self.free:
            raise PoolFull(
                f"{count:,} more states of {self.page_bytes:,} bytes are needed and {self.free:,} are free; "
                "retire agents or start the server with more --memory-gb or --disk-gb"
            )
        self.places.promise(self.used + count)
        pages = self._handles.take(count)
        self._references[pages] = 1
        return pages

    def retain(self, pages: Handles) -> None:
        """One more reference for each entry."""
        np.add.at(self._references, pages, _ONE)

    def release(self, pages: Handles) -> None:
        """One reference less for each entry; pages without any are free."""
        np.subtract.at(self._references, pages, _ONE)
        gone = self._each_once(pages[self._references[pages] == 0])
        if len(gone):
            self.places.vacate(gone)
            self._handles.give_back(gone)

    def turn_over(self, pages: Handles, keep: bool = False) -> Turnover:
        """Make every page writable by its one holder: sharers get fresh pages; raise PoolFull and change nothing.

        The caller writes the states and then calls `settle`. With `keep`, owners get fresh pages, too, so that until
        then all states are there as they were.
        """
        moved = self._references[pages] > (0 if keep else 1)
        if not moved.any():
            return Turnover.at_rest(pages)
        write = pages.copy()
        write[moved] = self.acquire(int(moved.sum()))
        return Turnover(read=pages, write=write, moved=moved)

    def settle(self, turnover: Turnover, written: NDArray[np.bool_] | None = None) -> Handles:
        """The pages that hold the states from now on: the written ones, where `written` [B]; None: everywhere.

        The others of each pair are given up.
        """
        kept, left = turnover.write, turnover.read
        if written is not None:
            kept, left = np.where(written, kept, left), np.where(written, left, kept)
        if turnover.moved.any():
            self.release(left[turnover.moved])
        return kept

    def bring(self, turnover: Turnover, rows: slice) -> tuple[Slots, Slots]:
        """Slots to read from and to write to, for rows of a wave: at most `places.most_rows`.

        They are right until the next call of any method.
        """
        read = turnover.read[rows]
        return self.places.bring(read, read if turnover.write is turnover.read else turnover.write[rows])

    def get(self, pages: Handles) -> Tensor:
        """Copies of states [N, F] in host memory, from where they lie. By any thread that holds references to them."""
        return self.places.get(pages)

    def put(self, pages: Handles, states_NF: Tensor) -> None:
        """Fill pages that were acquired and not yet read."""
        self.places.put(pages, states_NF)

    def _each_once(self, unreferenced: Handles) -> Handles:
        # To sort a million pages takes a second. Their counts, all 0, serve to mark the last mention of each.
        marks = np.arange(1, 1 + len(unreferenced), dtype=np.int32)
        self._references[unreferenced] = marks
        last_mentions: Handles = unreferenced[self._references[unreferenced] == marks]
        self._references[unreferenced] = 0
        return last_mentions
