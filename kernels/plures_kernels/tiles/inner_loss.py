"""The inner loss of test-time training, for blocks of cells × channels; those beyond V must be masked."""

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def mean(b_x, V: tl.constexpr):  # type: ignore[no-untyped-def]
    """Over the channels, zeros where masked; a column."""
    return (tl.sum(b_x, 1) / V)[:, None]


@triton.jit  # type: ignore[untyped-decorator]
def standardised(b_z, m_v, V: tl.constexpr, EPSILON: tl.constexpr):  # type: ignore[no-untyped-def]
    """As `ttt.naive.standardised`, zeros where masked."""
    b_centred = tl.where(m_v, b_z - mean(tl.where(m_v, b_z, 0.0), V), 0.0)
    scale = tl.rsqrt(mean(b_centred * b_centred, V) + EPSILON)
    return scale * b_centred, scale


@triton.jit  # type: ignore[untyped-decorator]
def slope(b_z, b_target, b_gain, b_bias, m_v, V: tl.constexpr, EPSILON: tl.constexpr):  # type: ignore[no-untyped-def]
    """As `ttt.naive.slope`, zeros where masked."""
    b_x, scale = standardised(b_z, m_v, V, EPSILON)
    b_g = tl.where(m_v, b_gain * (b_gain * b_x + b_bias - b_target), 0.0)
    return tl.where(m_v, scale * (b_g - mean(b_g, V) - b_x * mean(b_g * b_x, V)), 0.0)
