"""SIMD inside numba functions: what the CPU kernels of all rules are written with.

`lanes` makes LLVM code for vectors, `blocks` makes a few rows of a matrix one value, `arithmetic` computes on blocks,
`access` moves them from and to memory, `fingerprint` keeps numba's cache honest.
"""

from .access import (
    FLOAT_BYTES,
    at,
    load,
    load_scalar,
    prefetch,
    slot_at,
    store,
    store_scalar,
    view,
    view_type,
)
from .arithmetic import (
    dot,
    dots,
    height,
    minus,
    plus_mixed,
    plus_outer,
    plus_product,
    plus_scaled,
    scaled,
    total,
    zeros,
    zeros_like,
)
from .fingerprint import fingerprint

__all__ = [
    "FLOAT_BYTES",
    "at",
    "dot",
    "dots",
    "fingerprint",
    "height",
    "load",
    "load_scalar",
    "minus",
    "plus_mixed",
    "plus_outer",
    "plus_product",
    "plus_scaled",
    "prefetch",
    "scaled",
    "slot_at",
    "store",
    "store_scalar",
    "total",
    "view",
    "view_type",
    "zeros",
    "zeros_like",
]
