"""Heads' states in a pool of float32 or bfloat16, whatever the shape of the blocks; both are computed on in float32.

The two are converted into each other in integers, since Triton's interpreter cuts off where a GPU rounds.
"""

import triton
import triton.language as tl
from torch import Tensor


def entries_together(pool_NHS: Tensor, K: int) -> int:
    """How many entries may be moved at once: as many as are 128 bits where every row of a matrix begins on those."""
    entries = 16 // pool_NHS.element_size()
    aligned = pool_NHS.data_ptr() % 16 == 0 and all(stride % entries == 0 for stride in (*pool_NHS.stride()[:2], K))
    return entries if aligned else 1


@triton.jit
def load_state(p_state, mask):  # type: ignore[no-untyped-def]
    """The entries as float32, zeros where masked."""
    b_state = tl.load(p_state, mask=mask, other=0.0)
    if b_state.dtype == tl.bfloat16:
        b_state = (b_state.to(tl.uint16, bitcast=True).to(tl.uint32) << 16).to(tl.float32, bitcast=True)
    return b_state


@triton.jit
def store_state(p_state, b_state, number, noise, mask):  # type: ignore[no-untyped-def]
    """Store as the pool's dtype: bfloat16 is rounded to the nearest, or with noise as `rounding.stochastic`.

    `number`: each entry's number h·S + s; `noise`: its row's int64, or None. Both broadcast against the block.
    """
    if p_state.dtype.element_ty == tl.bfloat16:
        pattern = b_state.to(tl.uint32, bitcast=True)
        addend = 0x7FFF + (pattern >> 16 & 1) if noise is None else entry_bits(number, noise) & 0xFFFF
        b_state = upper(pattern, addend).to(tl.uint16).to(tl.bfloat16, bitcast=True)
    tl.store(p_state, b_state, mask=mask)


@triton.jit
def upper(pattern, addend):  # type: ignore[no-untyped-def]
    """The upper halves of patterns + addend; of what is not finite, the upper halves of the patterns."""
    # Without its lower half, a NaN could be taken for an infinity.
    quiet = tl.where((pattern & 0x7FFFFFFF) > 0x7F800000, 0x40, 0)
    finite = (pattern & 0x7F800000) != 0x7F800000
    return tl.where(finite, (pattern + addend) >> 16, pattern >> 16 | quiet)


@triton.jit
def entry_bits(number, noise):  # type: ignore[no-untyped-def]
    """32 random bits an entry, from the row's noise and the entry's number."""
    return mixed(mixed((noise >> 32).to(tl.uint32) + number.to(tl.uint32)) ^ noise.to(tl.uint32))


@triton.jit
def mixed(x):  # type: ignore[no-untyped-def]
    """As `rounding.mixed`."""
    x = (x ^ (x >> 16)) * 0x7FEB352D
    x = (x ^ (x >> 15)) * 0x846CA68B
    return x ^ (x >> 16)
