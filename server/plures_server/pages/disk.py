"""The coldest tier: a file without a name. It is gone with the process, however that ends; two servers never meet.

Shapes: R some of the slots, F floats of a page.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import PluresError, PoolFull, TierUnavailable
from .free_list import FreeList
from .places import Slots

GROWTH_BYTES = 1 << 20
"""The file grows by at least this much."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DiskTier:
    """Pages in a file. Its blocks are taken from the disk before they are needed: to write a page never fills it."""

    name = "disk"

    def __init__(self, folder: Path, capacity: int, page_floats: int) -> None:
        self.capacity = capacity
        self.slots = FreeList(0, 0)
        self._secured = 0
        self._page_floats = page_floats
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # It never has a name, where the system can do that; elsewhere it loses it at once.
            self._file = tempfile.TemporaryFile(buffering=0, prefix=".plures-tier-", dir=folder)  # noqa: SIM115
        except OSError as error:
            raise self._trouble(error) from error

    def secure(self, count: int) -> None:
        if count <= self._secured:
            return
        page_bytes = 4 * self._page_floats
        grown = min(max(count, self._secured + GROWTH_BYTES // page_bytes), self.capacity)
        try:
            os.posix_fallocate(self._file.fileno(), self._secured * page_bytes, (grown - self._secured) * page_bytes)
        except OSError as error:
            raise self._trouble(error) from error
        self._secured = grown
        self.slots.grow(grown)

    def read(self, slots: Slots) -> Tensor:
        states_RF = torch.empty(len(slots), self._page_floats)
        for buffer, offset in self._extents(slots, states_RF):
            while buffer:
                if not (count := os.preadv(self._file.fileno(), [buffer], offset)):
                    raise OSError(errno.EIO, "the file of cold states is shorter than it was")
                buffer, offset = buffer[count:], offset + count
        return states_RF

    def write(self, slots: Slots, states_RF: Tensor) -> None:
        for buffer, offset in self._extents(slots, states_RF.contiguous()):
            while buffer:
                count = os.pwrite(self._file.fileno(), buffer, offset)
                buffer, offset = buffer[count:], offset + count

    def close(self) -> None:
        self._file.close()

    def _extents(self, slots: Slots, states_RF: Tensor) -> Iterator[tuple[memoryview, int]]:
        """The bytes of states whose slots follow one another, and where in the file they are."""
        page_bytes = 4 * self._page_floats
        data: memoryview = states_RF.numpy().data.cast("B")
        edges = [0, *(np.flatnonzero(np.diff(slots) != 1) + 1).tolist(), len(slots)]
        for first, end in pairwise(edges):
            yield data[first * page_bytes : end * page_bytes], int(slots[first]) * page_bytes

    def _trouble(self, error: OSError) -> PluresError:
        if error.errno in _FULL:
            return PoolFull(
                f"the disk under {self._folder} has no room for more cold states ({error.strerror}); "
                "free some of it, retire agents, or start the server with another --tier-dir"
            )
        return TierUnavailable(
            f"cold states cannot be kept in {self._folder} ({error.strerror}); name another folder with --tier-dir"
        )
