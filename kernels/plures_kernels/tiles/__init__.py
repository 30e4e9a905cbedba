"""What the Triton kernels of all rules are written with."""

from .rows import unit
from .states import load_state, store_state

__all__ = ["load_state", "store_state", "unit"]
