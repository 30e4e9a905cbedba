"""Which pages a step may read and write."""

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from .errors import InvalidArgument


def require_slots(pages: int, read_B: Tensor, write_B: Tensor) -> None:
    """InvalidArgument unless every row may step: slots in range, each page written once, none written and read by two.

    A row whose write slot is -1 is skipped. Waits for the device when the slots are not on the CPU.
    """
    read, write = (slots.to("cpu", torch.int64).numpy() for slots in (read_B, write_B))
    row, ordered = _first_out_of_range(read, write, pages)
    if row >= 0:
        raise InvalidArgument(
            f"row {row} reads page {read[row]} and writes page {write[row]}; the pool has pages 0 to {pages - 1}, "
            "and a row to skip has write slot -1"
        )
    if not ordered:
        _require_no_conflict(read, write, pages)


def _require_no_conflict(read: NDArray[np.int64], write: NDArray[np.int64], pages: int) -> None:
    row = _first_conflict(read, write, pages)
    if row < 0:
        return
    rivals = np.flatnonzero(write == write[row])
    if len(rivals) > 1:
        raise InvalidArgument(f"rows {rivals[0]} and {rivals[1]} both write page {write[row]}; give each its own page")
    writer = np.flatnonzero(write == read[row])[0]
    raise InvalidArgument(
        f"row {row} reads page {read[row]}, which row {writer} writes in the same step; "
        "write copies to fresh pages, or step the two rows one after the other"
    )


@njit(cache=True, nogil=True)
def _first_out_of_range(read_B: NDArray[np.int64], write_B: NDArray[np.int64], pages: int) -> tuple[int, int]:
    """The first bad row or -1; and 1 when conflicts are ruled out: all rows in place, pages in ascending order."""
    ordered, last = 1, -1
    for row in range(len(write_B)):
        read, write = read_B[row], write_B[row]
        if write == -1:
            continue
        if not (0 <= write < pages and 0 <= read < pages):
            return row, 0
        if read != write or write <= last:
            ordered = 0
        last = write
    return -1, ordered


@njit(cache=True, nogil=True)
def _first_conflict(read_B: NDArray[np.int64], write_B: NDArray[np.int64], pages: int) -> int:
    """The first row that writes a page written before, or reads a page that another row writes; -1 when none does."""
    written_N = np.zeros(pages, np.uint8)
    for row in range(len(write_B)):
        if write_B[row] >= 0:
            if written_N[write_B[row]]:
                return row
            written_N[write_B[row]] = 1
    for row in range(len(write_B)):
        if write_B[row] >= 0 and read_B[row] != write_B[row] and written_N[read_B[row]]:
            return row
    return -1
