"""The step of test-time training of a two-layer memory on the GPU, in place, 128 bits at a time.

B rows, H heads, V channels of queries, keys and values, F hidden units, S floats of a head's state, N pages. A cell is
one head of one row. All units must be seen before any of them changes, so a program goes twice over the units of C
cells, some at a time; the second time their rows come from the cache, and what the units were is computed again.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..norm import EPSILON
from ..spec import Inputs
from ..tiles import entries_together, load_state, slope, standardised, store_state, unit
from ..ttt import naive
from ..ttt.backend import parted
from . import naive as layers

# Floats of one matrix that a program holds in registers, 4 a thread.
TILE = 512
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}
A, C, C3 = tl.constexpr(layers.A), tl.constexpr(layers.C), tl.constexpr(3 * layers.C)


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`, in one launch that reads nothing back."""
    tokens, start, affine = parted(inputs)
    B, H, V = tokens[0].shape
    y_BHV = tokens[0].new_empty(B, H, V)
    if y_BHV.numel() == 0:
        return y_BHV
    shape = tile_shape(H, V, start[0].size(1))
    with torch.cuda.device_of(pool_NHS):  # type: ignore[no-untyped-call]
        step_kernel[(triton.cdiv(B * H, shape["BLOCK_C"]),)](
            pool_NHS, *tokens, *(x.contiguous() for x in (*start, *affine)), read_B, write_B, noise_B, y_BHV, B * H,
            *pool_NHS.stride()[:2], *(stride for x in tokens for stride in x.stride()[:2]),
            read_B.stride(0), write_B.stride(0), 0 if noise_B is None else noise_B.stride(0),
            **shape, NORMALIZE=normalize, EPSILON=EPSILON, LN_EPSILON=naive.EPSILON,
            TOGETHER=entries_together(pool_NHS, V), **OPTIONS,
        )  # fmt: skip
    return y_BHV


def tile_shape(H: int, V: int, F: int) -> dict[str, int]:
    """The kernel's compile-time extents: whole rows of as many units as fit a tile, then as many cells."""
    block_v = triton.next_power_of_2(V)
    block_f = min(triton.next_power_of_2(F), max(1, TILE // block_v))
    cells = max(1, TILE // (block_v * block_f))
    return {"H": H, "V": V, "F": F, "BLOCK_C": cells, "BLOCK_V": block_v, "BLOCK_F": block_f}


@triton.jit  # type: ignore[untyped-decorator]
def step_kernel(  # type: ignore[no-untyped-def]
    p_pool, p_q, p_k, p_v, p_beta, p_w1, p_b1, p_w2, p_b2, p_gain, p_bias, p_read, p_write, p_noise, p_y, cells,
    pool_n, pool_h, q_b, q_h, k_b, k_h, v_b, v_h, beta_b, beta_h, read_b, write_b, noise_b,
    H: tl.constexpr, V: tl.constexpr, F: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_F: tl.constexpr,
    NORMALIZE: tl.constexpr, EPSILON: tl.constexpr, LN_EPSILON: tl.constexpr, TOGETHER: tl.constexpr,
):  # fmt: skip
    """`pool_n` and its like are strides: of the pool, along its axis N."""
    i_c = tl.program_id(0).to(tl.int64) * BLOCK_C + tl.arange(0, BLOCK_C)
    i_v = tl.arange(0, BLOCK_V)[None, :]
    b, h = i_c // H, i_c % H
    # Weights are small, and registers few: 32 bits do for where a head has its own.
    head = h.to(tl.int32)[:, None]
    m_c, m_v = i_c < cells, i_v < V

    write = tl.load(p_write + b * write_b, mask=m_c, other=-1).to(tl.int64)
    m_live = write >= 0
    read = tl.load(p_read + b * read_b, mask=m_live, other=0).to(tl.int64)
    m_cv = m_live[:, None] & m_v
    old = p_pool + tl.multiple_of(read * pool_n + h * pool_h, TOGETHER)[:, None]
    new = p_pool + tl.multiple_of(write * pool_n + h * pool_h, TOGETHER)[:, None]

    b_q = tl.load(p_q + (b * q_b + h * q_h)[:, None] + i_v, mask=m_cv, other=0.0)
    b_k = tl.load(p_k + (b * k_b + h * k_h)[:, None] + i_v, mask=m_cv, other=0.0)
    if NORMALIZE:
        b_q, b_k = unit(b_q, EPSILON), unit(b_k, EPSILON)
    of_head, SECOND, LAST = head * V + i_v, F * V + F, 2 * F * V + F
    b_first = load_state(old + LAST + i_v, m_cv) + tl.load(p_b2 + of_head, mask=m_cv, other=0.0)

    b_z = b_first
    for first in range(0, F, BLOCK_F):
        i_f, place, m_cf, m_tile = units(first, i_v, m_live, m_cv, V, F, BLOCK_F)
        b_w1 = whole(old[:, :, None] + place, p_w1 + (head * (F * V))[:, :, None] + place, m_tile)
        b_b1 = whole(old + F * V + i_f, p_b1 + head * F + i_f, m_cf)
        b_active = gelu(b_b1 + tl.sum(b_w1 * b_k[:, None, :], 2))
        b_w2 = whole(old[:, :, None] + SECOND + place, p_w2 + (head * (F * V))[:, :, None] + place, m_tile)
        b_z += tl.sum(b_w2 * b_active[:, :, None], 1)

    b_gain = tl.load(p_gain + of_head, mask=m_cv, other=0.0)
    b_bias = tl.load(p_bias + of_head, mask=m_cv, other=0.0)
    b_target = tl.load(p_v + (b * v_b + h * v_h)[:, None] + i_v, mask=m_cv, other=0.0) - b_k
    rate = tl.load(p_beta + b * beta_b + h * beta_h, mask=m_live, other=0.0)[:, None] / F
    b_update = -rate * slope(b_z, b_target, b_gain, b_bias, m_cv, V, LN_EPSILON)
    overlap = (1.0 + tl.sum(b_q * b_k, 1))[:, None]

    noise, noise_tile = None, None
    if p_noise is not None:
        noise = tl.load(p_noise + b * noise_b, mask=m_live, other=0)[:, None]
        noise_tile = noise[:, :, None]
    number = head * (2 * F * V + F + V)
    b_z = b_first + b_update
    for first in range(0, F, BLOCK_F):
        i_f, place, m_cf, m_tile = units(first, i_v, m_live, m_cv, V, F, BLOCK_F)
        b_w2 = whole(old[:, :, None] + SECOND + place, p_w2 + (head * (F * V))[:, :, None] + place, m_tile)
        b_change = tl.sum(b_w2 * b_update[:, None, :], 2)

        b_w1 = load_state(old[:, :, None] + place, m_tile)
        b_both = b_w1 + tl.load(p_w1 + (head * (F * V))[:, :, None] + place, mask=m_tile, other=0.0)
        b_b1 = load_state(old + F * V + i_f, m_cf)
        b_bias1 = b_b1 + tl.load(p_b1 + head * F + i_f, mask=m_cf, other=0.0)
        b_hidden = b_bias1 + tl.sum(b_both * b_k[:, None, :], 2)
        b_change *= gelu_slope(b_hidden)
        b_seen = b_bias1 + tl.sum(b_both * b_q[:, None, :], 2) + overlap * b_change
        b_w1 += b_change[:, :, None] * b_k[:, None, :]
        store_state(new[:, :, None] + place, b_w1, number[:, :, None] + place, noise_tile, m_tile)
        store_state(new + F * V + i_f, b_b1 + b_change, number + F * V + i_f, noise, m_cf)

        # Once more from the cache: registers are few.
        b_w2 = load_state(old[:, :, None] + SECOND + place, m_tile)
        b_w2 += gelu(b_hidden)[:, :, None] * b_update[:, None, :]
        store_state(new[:, :, None] + SECOND + place, b_w2, number[:, :, None] + SECOND + place, noise_tile, m_tile)
        b_w2 += tl.load(p_w2 + (head * (F * V))[:, :, None] + place, mask=m_tile, other=0.0)
        b_z += tl.sum(b_w2 * gelu(b_seen)[:, :, None], 1)

    b_b2 = load_state(old + LAST + i_v, m_cv)
    store_state(new + LAST + i_v, b_b2 + b_update, number + LAST + i_v, noise, m_cv)
    b_x, _ = standardised(b_z, m_cv, V, LN_EPSILON)
    b_y = tl.where(m_cv, b_q + b_gain * b_x + b_bias, 0.0)
    tl.store(p_y + i_c[:, None] * V + i_v, b_y, mask=m_c[:, None] & m_v)


@triton.jit  # type: ignore[untyped-decorator]
def units(first, i_v, m_live, m_cv, V: tl.constexpr, F: tl.constexpr, BLOCK_F: tl.constexpr):  # type: ignore[no-untyped-def]
    """A tile's units, its entries' places in a matrix, and what of both is there."""
    i_f = first + tl.arange(0, BLOCK_F)[None, :]
    m_cf = m_live[:, None] & (i_f < F)
    m_tile = m_cv[:, None, :]
    if F % BLOCK_F != 0:
        m_tile = m_tile & m_cf[:, :, None]
    return i_f, i_f[:, :, None] * V + i_v[:, None, :], m_cf, m_tile


@triton.jit
def whole(p_state, p_start, mask):  # type: ignore[no-untyped-def]
    """Weights of a memory: where they start, and what a life has added to that."""
    return load_state(p_state, mask) + tl.load(p_start, mask=mask, other=0.0)


@triton.jit
def gelu(b_x):  # type: ignore[no-untyped-def]
    """In its tanh form."""
    return b_x * gate(b_x)


@triton.jit
def gelu_slope(b_x):  # type: ignore[no-untyped-def]
    """As `naive.gelu_slope`."""
    b_gate = gate(b_x)
    return b_gate + b_x * b_gate * (1 - b_gate) * (b_x * b_x * C3 + A)


@triton.jit
def gate(b_x):  # type: ignore[no-untyped-def]
    """As in `naive`. Below −80, e^x is beyond float32."""
    return tl.sigmoid(tl.maximum(b_x * (b_x * b_x * C + A), -80.0))
