"""SIMD inside numba functions: what the CPU kernels of all rules are written with.

`lanes` makes LLVM code for vectors, `blocks` makes a few rows of a matrix one value; `arithmetic`, `elementwise` and
`exponential` compute on blocks, `access` moves them from and to memory, `states` from and to pools of float32 or
bfloat16, `fingerprint` keeps numba's cache honest.
"""

from .access import (
    FLOAT_BYTES,
    at,
    load,
    load_scalar,
    prefetch,
    prefetch_far,
    reserve,
    slot_at,
    store,
    store_scalar,
    view,
    view_type,
)
from .arithmetic import (
    dot,
    dots,
    filled,
    height,
    mean,
    minus,
    plus_mixed,
    plus_outer,
    plus_product,
    plus_products,
    plus_scaled,
    scaled,
    squared_relu,
    stacked,
    times_row,
    total,
    width,
    zeros,
    zeros_like,
)
from .elementwise import plus, shifted, times
from .exponential import exponential, sigmoid
from .fingerprint import fingerprint
from .states import FLOAT32, form_of, load_state, prefetch_state, state_at, store_state

__all__ = [
    "FLOAT32",
    "FLOAT_BYTES",
    "at",
    "dot",
    "dots",
    "exponential",
    "filled",
    "fingerprint",
    "form_of",
    "height",
    "load",
    "load_scalar",
    "load_state",
    "mean",
    "minus",
    "plus",
    "plus_mixed",
    "plus_outer",
    "plus_product",
    "plus_products",
    "plus_scaled",
    "prefetch",
    "prefetch_far",
    "prefetch_state",
    "reserve",
    "scaled",
    "shifted",
    "sigmoid",
    "slot_at",
    "squared_relu",
    "stacked",
    "state_at",
    "store",
    "store_scalar",
    "store_state",
    "times",
    "times_row",
    "total",
    "view",
    "view_type",
    "width",
    "zeros",
    "zeros_like",
]
