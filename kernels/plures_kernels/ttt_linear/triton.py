"""The step of test-time training of a linear memory on the GPU, in place, 128 bits at a time.

B rows, H heads, V channels of queries, keys and values, S floats of a head's state, N pages. A cell is one head of one
row. All of W must be seen before any of it changes, so a program goes twice over the columns of C cells' states, a tile
of C × V × some columns at a time; the second time they come from the cache.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..norm import EPSILON
from ..spec import Inputs
from ..tiles import entries_together, load_state, slope, standardised, store_state
from ..ttt import naive
from ..ttt.backend import parted

# Floats of state that a program holds in registers, 8 a thread.
TILE = 1024
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`, in one launch that reads nothing back."""
    tokens, (w0_HVV, b0_HV), affine = parted(inputs)
    B, H, V = tokens[0].shape
    y_BHV = tokens[0].new_empty(B, H, V)
    if y_BHV.numel() == 0:
        return y_BHV
    shape = tile_shape(H, V)
    with torch.cuda.device_of(pool_NHS):  # type: ignore[no-untyped-call]
        step_kernel[(triton.cdiv(B * H, shape["BLOCK_C"]),)](
            pool_NHS, *tokens, w0_HVV.contiguous(), *(x.contiguous() for x in (b0_HV, *affine)),
            read_B, write_B, noise_B, y_BHV, B * H,
            *pool_NHS.stride()[:2], *(stride for x in tokens for stride in x.stride()[:2]),
            read_B.stride(0), write_B.stride(0), 0 if noise_B is None else noise_B.stride(0),
            **shape, NORMALIZE=normalize, EPSILON=EPSILON, LN_EPSILON=naive.EPSILON,
            TOGETHER=entries_together(pool_NHS, V), **OPTIONS,
        )  # fmt: skip
    return y_BHV


def tile_shape(H: int, V: int) -> dict[str, int]:
    """The kernel's compile-time extents: all rows and as many columns of a state as fit a tile, then as many cells."""
    block_v = triton.next_power_of_2(V)
    block_k = min(block_v, max(1, TILE // block_v))
    return {"H": H, "V": V, "BLOCK_C": max(1, TILE // (block_v * block_k)), "BLOCK_V": block_v, "BLOCK_K": block_k}


@triton.jit  # type: ignore[untyped-decorator]
def step_kernel(  # type: ignore[no-untyped-def]
    p_pool, p_q, p_k, p_v, p_beta, p_w0, p_b0, p_gain, p_bias, p_read, p_write, p_noise, p_y, cells,
    pool_n, pool_h, q_b, q_h, k_b, k_h, v_b, v_h, beta_b, beta_h, read_b, write_b, noise_b,
    H: tl.constexpr, V: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
    NORMALIZE: tl.constexpr, EPSILON: tl.constexpr, LN_EPSILON: tl.constexpr, TOGETHER: tl.constexpr,
):  # fmt: skip
    """`pool_n` and its like are strides: of the pool, along its axis N."""
    i_c = tl.program_id(0).to(tl.int64) * BLOCK_C + tl.arange(0, BLOCK_C)
    i_v = tl.arange(0, BLOCK_V)[None, :]
    b, h = i_c // H, i_c % H
    # Weights are small, and registers few: 32 bits do for where a head has its own.
    head = h.to(tl.int32)
    m_c, m_v = i_c < cells, i_v < V

    write = tl.load(p_write + b * write_b, mask=m_c, other=-1).to(tl.int64)
    m_live = write >= 0
    read = tl.load(p_read + b * read_b, mask=m_live, other=0).to(tl.int64)
    m_cv = m_live[:, None] & m_v
    p_q, p_k = p_q + (b * q_b + h * q_h)[:, None], p_k + (b * k_b + h * k_h)[:, None]
    old = tl.multiple_of(read * pool_n + h * pool_h, TOGETHER)[:, None]
    new = tl.multiple_of(write * pool_n + h * pool_h, TOGETHER)[:, None]

    b_before, b_after = tl.zeros([BLOCK_C, BLOCK_V], tl.float32), tl.zeros([BLOCK_C, BLOCK_V], tl.float32)
    for first in range(0, V, BLOCK_K):
        i_k, place, m_ck, m_tile = columns(first, i_v, m_live, m_cv, V, BLOCK_K)
        b_w = load_state(p_pool + (old[:, :, None] + place), m_tile)
        b_w += tl.load(p_w0 + ((head * (V * V))[:, None, None] + place), mask=m_tile, other=0.0)
        b_before += tl.sum(b_w * tl.load(p_k + i_k, mask=m_ck, other=0.0)[:, None, :], 2)
        b_after += tl.sum(b_w * tl.load(p_q + i_k, mask=m_ck, other=0.0)[:, None, :], 2)

    # Only now are lengths asked for: whole queries and keys would hold registers that the tiles need.
    b_q, b_k = tl.load(p_q + i_v, mask=m_cv, other=0.0), tl.load(p_k + i_v, mask=m_cv, other=0.0)
    scale_q, scale_k = scale(b_q, NORMALIZE, EPSILON), scale(b_k, NORMALIZE, EPSILON)
    b_before, b_after, b_q, b_k = scale_k * b_before, scale_q * b_after, scale_q * b_q, scale_k * b_k
    of_head = (head * V)[:, None] + i_v
    b_b = load_state(p_pool + (old + V * V + i_v), m_cv)
    b_whole = b_b + tl.load(p_b0 + of_head, mask=m_cv, other=0.0)
    b_gain = tl.load(p_gain + of_head, mask=m_cv, other=0.0)
    b_bias = tl.load(p_bias + of_head, mask=m_cv, other=0.0)
    b_target = tl.load(p_v + (b * v_b + h * v_h)[:, None] + i_v, mask=m_cv, other=0.0) - b_k
    beta = tl.load(p_beta + b * beta_b + h * beta_h, mask=m_live, other=0.0)[:, None]
    b_update = -beta * slope(b_before + b_whole, b_target, b_gain, b_bias, m_cv, V, LN_EPSILON)
    b_after += b_whole + (1.0 + tl.sum(b_q * b_k, 1))[:, None] * b_update
    b_x, _ = standardised(b_after, m_cv, V, LN_EPSILON)
    b_y = tl.where(m_cv, b_q + b_gain * b_x + b_bias, 0.0)
    tl.store(p_y + i_c[:, None] * V + i_v, b_y, mask=m_c[:, None] & m_v)

    noise, noise_tile = None, None
    if p_noise is not None:
        noise = tl.load(p_noise + b * noise_b, mask=m_live, other=0)[:, None]
        noise_tile = noise[:, :, None]
    number = (head * (V * V + V))[:, None]
    store_state(p_pool + (new + V * V + i_v), b_b + b_update, number + V * V + i_v, noise, m_cv)
    for first in range(0, V, BLOCK_K):
        i_k, place, m_ck, m_tile = columns(first, i_v, m_live, m_cv, V, BLOCK_K)
        b_w = load_state(p_pool + (old[:, :, None] + place), m_tile)
        b_w += (scale_k * b_update)[:, :, None] * tl.load(p_k + i_k, mask=m_ck, other=0.0)[:, None, :]
        store_state(p_pool + (new[:, :, None] + place), b_w, number[:, :, None] + place, noise_tile, m_tile)


@triton.jit  # type: ignore[untyped-decorator]
def scale(b_x, NORMALIZE: tl.constexpr, EPSILON: tl.constexpr):  # type: ignore[no-untyped-def]
    """What makes rows have length one, if asked for: a column."""
    squares = tl.sum(b_x * b_x, 1)[:, None]
    return tl.rsqrt(squares + EPSILON) if NORMALIZE else tl.full(squares.shape, 1.0, tl.float32)


@triton.jit  # type: ignore[untyped-decorator]
def columns(first, i_v, m_live, m_cv, V: tl.constexpr, BLOCK_K: tl.constexpr):  # type: ignore[no-untyped-def]
    """A tile's columns, its entries' places in W, and what of both is there."""
    i_k = first + tl.arange(0, BLOCK_K)[None, :]
    m_ck = m_live[:, None] & (i_k < V)
    m_tile = m_cv[:, :, None]
    if V % BLOCK_K != 0:
        m_tile = m_tile & m_ck[:, None, :]
    return i_k, i_v[:, :, None] * V + i_k[:, None, :], m_ck, m_tile
