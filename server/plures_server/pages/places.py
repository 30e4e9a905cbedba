"""Where pages lie. A page is known by a handle, which never changes; its place may.

Shapes: B rows of a wave, N pages, F floats of a page.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from plures_kernels.memory import empty_pages
from torch import Tensor

Handles = NDArray[np.int32]
Slots = NDArray[np.int32]
"""Rows of the tensor that agents are stepped in."""

NEWBORN = 0
"""Handle and slot of the page of zeros that every newborn agent reads from; never written, never freed, never moved."""


@dataclass(frozen=True)
class TierUsage:
    """What lies in a tier, and what can."""

    name: str
    pages: int
    bytes_used: int
    bytes_capacity: int

    def __add__(self, other: "TierUsage") -> "TierUsage":
        """Two students' parts of a tier."""
        used, capacity = self.bytes_used + other.bytes_used, self.bytes_capacity + other.bytes_capacity
        return TierUsage(self.name, self.pages + other.pages, used, capacity)


class Places(Protocol):
    """What `Pages` asks of whoever keeps its pages. All calls but `get` are made by the thread that owns the pages."""

    hot_NF: Tensor
    """The pages that can be stepped."""

    capacity: int
    """Pages that may be in use at the same time, the newborn page among them."""

    most_rows: int | None
    """Rows of a wave whose states are hot at the same time for certain; None when all are, always, where they were."""

    def promise(self, count: int) -> None:
        """Be sure to have room for `count` pages in use; raise PluresError and change nothing."""
        ...

    def bring(self, read_B: Handles, write_B: Handles) -> tuple[Slots, Slots]:
        """Make hot what is read, give a hot slot to what is written: at most `most_rows` rows.

        The slots are right until the next call of any method.
        """
        ...

    def vacate(self, handles: Handles) -> None:
        """These pages are free: nobody reads them any more."""
        ...

    def get(self, handles: Handles) -> Tensor:
        """Copies of pages [N, F] in host memory, from where they lie. By any thread that holds references to them."""
        ...

    def put(self, handles: Handles, states_NF: Tensor) -> None:
        """Fill pages that nobody has read yet."""
        ...

    def usage(self, used: int) -> list[TierUsage]:
        """Each tier, from the hottest on, when so many pages are in use."""
        ...

    def close(self) -> None:
        """Give up what is held beside memory."""
        ...


class AllHot:
    """Every page at its own slot, its handle, for ever. Memory is not touched before a page is written."""

    most_rows: int | None = None

    def __init__(self, capacity: int, page_floats: int, device: torch.device) -> None:
        self.capacity = capacity
        self.hot_NF = empty_pages(capacity, page_floats, device=device)
        self.hot_NF[NEWBORN].zero_()

    def promise(self, count: int) -> None:
        """There is: a page has its slot from the start."""

    def bring(self, read_B: Handles, write_B: Handles) -> tuple[Slots, Slots]:
        return read_B, write_B

    def vacate(self, handles: Handles) -> None:
        """Nothing to do: whoever gets the handle next gets the slot with it."""

    def get(self, handles: Handles) -> Tensor:
        return rows_of(self.hot_NF, handles)

    def put(self, handles: Handles, states_NF: Tensor) -> None:
        set_rows(self.hot_NF, handles, states_NF)

    def usage(self, used: int) -> list[TierUsage]:
        page_bytes = self.hot_NF.shape[1] * 4
        return [TierUsage("device", used, used * page_bytes, (self.capacity - 1) * page_bytes)]

    def close(self) -> None:
        """Nothing to do: memory goes by itself."""


def rows_of(pages_NF: Tensor, rows: Slots) -> Tensor:
    """Copies of some rows, in host memory."""
    if pages_NF.device.type == "cpu":
        # By this thread alone: torch would wake a team of threads, and wait for the last of them, for a few rows.
        return torch.from_numpy(pages_NF.numpy()[rows])
    return pages_NF[torch.from_numpy(rows).to(pages_NF.device).long()].cpu()


def set_rows(pages_NF: Tensor, rows: Slots, states_NF: Tensor) -> None:
    """Write some rows, each once."""
    if pages_NF.device.type == "cpu":
        pages_NF.numpy()[rows] = states_NF.cpu().numpy()
    else:
        pages_NF[torch.from_numpy(rows).to(pages_NF.device).long()] = states_NF.to(pages_NF.device)
