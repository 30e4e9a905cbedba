"""How many cores an operation takes."""

import numba
import torch


def use_one_core() -> None:
    """Let every operation of the calling thread run on that thread alone: for callers that work side by side."""
    torch.set_num_threads(1)
    numba.set_num_threads(1)
