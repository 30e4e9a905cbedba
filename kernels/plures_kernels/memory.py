"""Where pages of state, and what steps read from them, are allocated."""

import numpy as np
import torch
from torch import Tensor


def empty_pages(*shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Float32 of undefined content; on a CPU, memory that the system may back by huge pages, once it is touched.

    States are visited in any order: with pages of 4 KiB nearly every visit misses the processor's address cache. And
    what a step returns is new memory each time: faults on small pages took a quarter of a step of short states.
    """
    if torch.device(device).type == "cpu":
        # NumPy asks the system for huge pages; torch does not.
        return torch.from_numpy(np.empty(shape, np.float32))
    return torch.empty(shape, dtype=torch.float32, device=device)
