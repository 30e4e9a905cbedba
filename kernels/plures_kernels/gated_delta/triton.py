"""The gated delta rule's step on the GPU: one pass over each state, in place, in 128-bit loads and stores.

B rows, H heads, K key channels, V value channels, N pages. A cell is one head of one row; a program works on a tile of
C cells × some rows of their states × K.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..norm import EPSILON
from ..spec import Inputs

# Floats of state that a program holds in registers, 16 a thread.
TILE = 2048
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`, in one launch that reads nothing back."""
    q_BHK, k_BHK, v_BHV, log_decay_BH, beta_BH = inputs
    pool_NHVK = pool_NHS.view(*pool_NHS.shape[:2], v_BHV.size(-1), k_BHK.size(-1))
    y_BHV = v_BHV.new_empty(v_BHV.shape)
    B, H, V, K = *v_BHV.shape, k_BHK.size(-1)
    if y_BHV.numel() == 0:
        return y_BHV
    shape = tile_shape(H, V, K)
    grid = (triton.cdiv(B * H, shape["BLOCK_C"]), triton.cdiv(V, shape["BLOCK_V"]))
    with torch.cuda.device_of(pool_NHVK):  # type: ignore[no-untyped-call]
        step_kernel[grid](
            pool_NHVK, q_BHK, k_BHK, v_BHV, log_decay_BH, beta_BH, read_B, write_B, y_BHV, B * H,
            *pool_NHVK.stride()[:3], *q_BHK.stride()[:2], *k_BHK.stride()[:2], *v_BHV.stride()[:2],
            *log_decay_BH.stride(), *beta_BH.stride(), read_B.stride(0), write_B.stride(0),
            **shape, NORMALIZE=normalize, EPSILON=EPSILON, ALIGNED=is_aligned(pool_NHVK), **OPTIONS,
        )  # fmt: skip
    return y_BHV


def tile_shape(H: int, V: int, K: int) -> dict[str, int]:
    """The kernel's compile-time extents: as many rows of a state as fit a tile, then as many cells."""
    block_k = triton.next_power_of_2(K)
    block_v = min(triton.next_power_of_2(V), max(1, TILE // block_k))
    block_c = max(1, TILE // (block_v * block_k))
    return {"H": H, "V": V, "K": K, "BLOCK_C": block_c, "BLOCK_V": block_v, "BLOCK_K": block_k}


def is_aligned(pool_NHVK: Tensor) -> bool:
    """Whether every row of a state begins on 16 bytes, which 128-bit loads and stores need."""
    return pool_NHVK.data_ptr() % 16 == 0 and all(stride % 4 == 0 for stride in pool_NHVK.stride()[:3])


@triton.jit  # type: ignore[untyped-decorator]
def step_kernel(  # type: ignore[no-untyped-def]
    p_pool, p_q, p_k, p_v, p_log_decay, p_beta, p_read, p_write, p_y, cells,
    pool_n, pool_h, pool_v, q_b, q_h, k_b, k_h, v_b, v_h, log_decay_b, log_decay_h, beta_b, beta_h, read_b, write_b,
    H: tl.constexpr, V: tl.constexpr, K: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
    NORMALIZE: tl.constexpr, EPSILON: tl.constexpr, ALIGNED: tl.constexpr,
):  # fmt: skip
    """`pool_n` and its like are strides: of the pool, along its axis N."""
    i_c = tl.program_id(0).to(tl.int64) * BLOCK_C + tl.arange(0, BLOCK_C)
    i_v = tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    i_k = tl.arange(0, BLOCK_K)
    b, h = i_c // H, i_c % H
    m_c, m_v, m_k = i_c < cells, i_v < V, i_k < K

    write = tl.load(p_write + b * write_b, mask=m_c, other=-1).to(tl.int64)
    m_live = write >= 0
    read = tl.load(p_read + b * read_b, mask=m_live, other=0).to(tl.int64)
    alpha = tl.exp(tl.load(p_log_decay + b * log_decay_b + h * log_decay_h, mask=m_live, other=0.0))
    beta = tl.load(p_beta + b * beta_b + h * beta_h, mask=m_live, other=0.0)
    m_ck = m_live[:, None] & m_k[None, :]
    m_cv = m_live[:, None] & m_v[None, :]
    b_q = tl.load(p_q + (b * q_b + h * q_h)[:, None] + i_k[None, :], mask=m_ck, other=0.0)
    b_k = tl.load(p_k + (b * k_b + h * k_h)[:, None] + i_k[None, :], mask=m_ck, other=0.0)
    b_v = tl.load(p_v + (b * v_b + h * v_h)[:, None] + i_v[None, :], mask=m_cv, other=0.0)
    if NORMALIZE:
        b_q = b_q * tl.rsqrt(tl.sum(b_q * b_q, 1) + EPSILON)[:, None]
        b_k = b_k * tl.rsqrt(tl.sum(b_k * b_k, 1) + EPSILON)[:, None]

    old = read * pool_n + h * pool_h
    new = write * pool_n + h * pool_h
    row = i_v.to(tl.int64) * pool_v
    if ALIGNED:
        old, new, row = tl.multiple_of(old, 4), tl.multiple_of(new, 4), tl.multiple_of(row, 4)
    m_state = m_live[:, None, None] & m_v[None, :, None]
    if K != BLOCK_K:
        m_state = m_state & m_k[None, None, :]
    p_old = p_pool + (old[:, None, None] + row[None, :, None] + i_k[None, None, :])
    p_new = p_pool + (new[:, None, None] + row[None, :, None] + i_k[None, None, :])
    b_state = tl.load(p_old, mask=m_state, other=0.0) * alpha[:, None, None]
    b_update = beta[:, None] * (b_v - tl.sum(b_state * b_k[:, None, :], 2))
    b_state = b_state + b_update[:, :, None] * b_k[:, None, :]
    tl.store(p_new, b_state, mask=m_state)
    b_y = tl.sum(b_state * b_q[:, None, :], 2)
    tl.store(p_y + i_c[:, None] * V + i_v[None, :], b_y, mask=m_c[:, None] & m_v[None, :])
