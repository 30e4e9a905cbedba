"""What the Triton kernels of all rules are written with."""

from .inner_loss import slope, standardised
from .rates import one_minus_exp, tanh
from .rows import unit
from .states import entries_together, load_state, store_state

__all__ = [
    "entries_together",
    "load_state",
    "one_minus_exp",
    "slope",
    "standardised",
    "store_state",
    "tanh",
    "unit",
]
