"""The step of linear Titans on the GPU: one pass over each state and its motion, in place, 128 bits at a time.

B rows, H heads, K key channels, V value channels, S floats of a head's state, N pages. A cell is one head of one row; a
program works on a tile of C cells × some rows of both of their matrices × K.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..norm import EPSILON
from ..spec import Inputs
from ..tiles import entries_together, load_state, store_state, unit

# Floats of states and motions that a program holds in registers, 16 a thread.
TILE = 2048
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`, in one launch that reads nothing back."""
    _, k_BHK, v_BHV, *_ = inputs
    y_BHV = v_BHV.new_empty(v_BHV.shape)
    B, H, V, K = *v_BHV.shape, k_BHK.size(-1)
    if y_BHV.numel() == 0:
        return y_BHV
    shape = tile_shape(H, V, K)
    grid = (triton.cdiv(B * H, shape["BLOCK_C"]), triton.cdiv(V, shape["BLOCK_V"]))
    with torch.cuda.device_of(pool_NHS):  # type: ignore[no-untyped-call]
        step_kernel[grid](
            pool_NHS, *inputs, read_B, write_B, noise_B, y_BHV, B * H, *pool_NHS.stride()[:2],
            *(stride for x in inputs for stride in x.stride()[:2]),
            read_B.stride(0), write_B.stride(0), 0 if noise_B is None else noise_B.stride(0),
            **shape, NORMALIZE=normalize, EPSILON=EPSILON, TOGETHER=entries_together(pool_NHS, K), **OPTIONS,
        )  # fmt: skip
    return y_BHV


def tile_shape(H: int, V: int, K: int) -> dict[str, int]:
    """The kernel's compile-time extents: as many rows of both matrices as fit a tile, then as many cells."""
    block_k = triton.next_power_of_2(K)
    block_v = min(triton.next_power_of_2(V), max(1, TILE // 2 // block_k))
    block_c = max(1, TILE // 2 // (block_v * block_k))
    return {"H": H, "V": V, "K": K, "BLOCK_C": block_c, "BLOCK_V": block_v, "BLOCK_K": block_k}


@triton.jit  # type: ignore[untyped-decorator]
def step_kernel(  # type: ignore[no-untyped-def]
    p_pool, p_q, p_k, p_v, p_log_decay, p_momentum, p_beta, p_read, p_write, p_noise, p_y, cells,
    pool_n, pool_h, q_b, q_h, k_b, k_h, v_b, v_h, log_decay_b, log_decay_h, momentum_b, momentum_h, beta_b, beta_h,
    read_b, write_b, noise_b,
    H: tl.constexpr, V: tl.constexpr, K: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
    NORMALIZE: tl.constexpr, EPSILON: tl.constexpr, TOGETHER: tl.constexpr,
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
    alpha = tl.exp(tl.load(p_log_decay + b * log_decay_b + h * log_decay_h, mask=m_live, other=0.0))[:, None, None]
    eta = tl.load(p_momentum + b * momentum_b + h * momentum_h, mask=m_live, other=0.0)[:, None, None]
    beta = tl.load(p_beta + b * beta_b + h * beta_h, mask=m_live, other=0.0)[:, None]
    m_ck = m_live[:, None] & m_k[None, :]
    b_q = tl.load(p_q + (b * q_b + h * q_h)[:, None] + i_k[None, :], mask=m_ck, other=0.0)
    b_k = tl.load(p_k + (b * k_b + h * k_h)[:, None] + i_k[None, :], mask=m_ck, other=0.0)
    if NORMALIZE:
        b_q, b_k = unit(b_q, EPSILON), unit(b_k, EPSILON)
    m_cv = m_live[:, None] & m_v[None, :]
    b_v = tl.load(p_v + (b * v_b + h * v_h)[:, None] + i_v[None, :], mask=m_cv, other=0.0)

    old, new = read * pool_n + h * pool_h, write * pool_n + h * pool_h
    old, new = tl.multiple_of(old, TOGETHER), tl.multiple_of(new, TOGETHER)
    place = i_v[None, :, None] * K + i_k[None, None, :]
    m_state = m_live[:, None, None] & m_v[None, :, None]
    if K != BLOCK_K:
        m_state = m_state & m_k[None, None, :]
    p_old, p_new = p_pool + (old[:, None, None] + place), p_pool + (new[:, None, None] + place)
    b_state, b_motion = load_state(p_old, m_state), load_state(p_old + V * K, m_state)
    b_push = beta * (b_v - tl.sum(b_state * b_k[:, None, :], 2))
    b_motion = eta * b_motion + b_push[:, :, None] * b_k[:, None, :]
    b_state = alpha * b_state + b_motion
    noise = None
    if p_noise is not None:
        noise = tl.load(p_noise + b * noise_b, mask=m_c, other=0)[:, None, None]
    number = h[:, None, None] * (2 * V * K) + place
    store_state(p_new, b_state, number, noise, m_state)
    store_state(p_new + V * K, b_motion, number + V * K, noise, m_state)
    b_y = tl.sum(b_state * b_q[:, None, :], 2)
    tl.store(p_y + i_c[:, None] * V + i_v[None, :], b_y, mask=m_c[:, None] & m_v[None, :])
