"""Rows of keys and queries."""

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def unit(b_x, EPSILON: tl.constexpr):  # type: ignore[no-untyped-def]
    """As `norm.unit`, for blocks of cells × channels."""
    return b_x * tl.rsqrt(tl.sum(b_x * b_x, 1) + EPSILON)[:, None]
