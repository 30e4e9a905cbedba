"""Tiers of memory that pages lie in, from the one they are stepped in to the coldest.

Shapes: N pages, F floats of a page, R some of a tier's slots.
"""

from typing import Protocol

import torch
from plures_kernels.memory import empty_pages
from torch import Tensor

from .free_list import FreeList
from .places import NEWBORN, Slots, rows_of, set_rows


class Tier(Protocol):
    """Slots for pages of one size. Reads and writes are made by any thread; who owns a slot, the caller knows."""

    @property
    def name(self) -> str: ...

    @property
    def capacity(self) -> int:
        """Pages it can hold at most."""
        ...

    @property
    def slots(self) -> FreeList:
        """Those that can be written now."""
        ...

    def secure(self, count: int) -> None:
        """Let at least so many slots, up to `capacity`, be written; raise PluresError and change nothing."""
        ...

    def read(self, slots: Slots) -> Tensor:
        """Copies of pages [R, F], float32 in host memory."""
        ...

    def write(self, slots: Slots, states_RF: Tensor) -> None: ...

    def close(self) -> None: ...


class TensorTier:
    """Pages in memory: of the device, where slot 0 is the newborn page, or of the host."""

    def __init__(self, name: str, pages_NF: Tensor, first: int) -> None:
        self.name = name
        self.pages_NF = pages_NF
        self.capacity = len(pages_NF) - first
        self.slots = FreeList(first, len(pages_NF))

    @classmethod
    def device(cls, capacity: int, page_floats: int, device: torch.device) -> "TensorTier":
        """`capacity` pages beside the newborn one."""
        pages_NF = empty_pages(capacity + 1, page_floats, device=device)
        pages_NF[NEWBORN].zero_()
        return cls("device", pages_NF, first=NEWBORN + 1)

    @classmethod
    def host(cls, capacity: int, page_floats: int, device: torch.device) -> "TensorTier":
        """Beside the device; pinned, so that a GPU can copy by itself."""
        if device.type == "cuda":
            return cls("host", torch.empty(capacity, page_floats, dtype=torch.float32, pin_memory=True), first=0)
        return cls("host", empty_pages(capacity, page_floats), first=0)

    def secure(self, count: int) -> None:
        """All slots can be written from the start."""

    def read(self, slots: Slots) -> Tensor:
        return rows_of(self.pages_NF, slots)

    def write(self, slots: Slots, states_RF: Tensor) -> None:
        set_rows(self.pages_NF, slots, states_RF)

    def close(self) -> None:
        """Memory goes by itself."""
