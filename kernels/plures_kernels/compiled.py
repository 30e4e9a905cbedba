"""What the numba kernels of all rules share: their argument types, and a key for numba's cache."""

import zlib
from pathlib import Path

from numba import boolean, float32, int64, types

from . import lanes, norm, simd


def float32_view(axes: int) -> types.Array:
    """A float32 array of any strides: one compiled kernel then serves contiguous and sliced tensors alike."""
    return types.Array(float32, axes, "A")


SLOTS = types.Array(int64, 1, "A")
SWITCH = boolean


def fingerprint(*files: str) -> int:
    """A positive number that changes with the given files and with those every kernel is made of.

    numba's cache looks for changes in the file of the cached function alone. A kernel that closes over this number is
    made anew when another of its files changes, too.
    """
    paths = (*files, __file__, lanes.__file__, norm.__file__, simd.__file__)
    return 1 + zlib.crc32(b"".join(Path(path).read_bytes() for path in paths))
