"""How many threads compute."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch and the compiled kernels use at most `count` threads inside the context."""
    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(count)
    numba.set_num_threads(min(count, before[1]))
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])
