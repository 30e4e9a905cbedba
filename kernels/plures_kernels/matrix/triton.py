"""The family's step on the GPU: one pass over each state, in place, in 128-bit loads and stores.

B rows, H heads, J inner steps, K key channels, V value channels, S floats of a head's state, N pages. A cell is one
head of one row; a program works on a tile of C cells × some rows of their states × K.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..norm import EPSILON
from ..spec import Inputs
from ..tiles import entries_together, load_state, store_state, unit
from .form import Decay, Form
from .layout import dense_heads

# Floats of state that a program holds in registers: 16 a thread, or 8 where several keys take room, too.
TILE, TILE_OF_INNER_STEPS = 2048, 1024
# With 64 registers a thread, a multiprocessor holds 1024 threads; nothing spills for it.
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True, "maxnreg": 64}


def step(
    form: Form,
    pool_NHS: Tensor,
    inputs: Inputs,
    read_B: Tensor,
    write_B: Tensor,
    noise_B: Tensor | None,
    normalize: bool,
) -> Tensor:
    """As `Rule.step`, in one launch that reads nothing back."""
    q_BHK, k_BHJK, v_BHJV, *decays, beta_BHJ = dense_heads(form, inputs)
    (B, H, K), V, J = q_BHK.shape, v_BHJV.size(-1), k_BHJK.size(2) if form.inner else 1
    y_BHV = q_BHK.new_empty(B, H, V)
    if y_BHV.numel() == 0:
        return y_BHV
    # A rule without decays never looks at them.
    log_decay_BHD = decays[0] if decays else beta_BHJ
    tokens = q_BHK, k_BHJK, v_BHJV, log_decay_BHD, beta_BHJ
    shape = tile_shape(tile_floats(form), H, V, K)
    grid = (triton.cdiv(B * H, shape["BLOCK_C"]), triton.cdiv(V, shape["BLOCK_V"]))
    with torch.cuda.device_of(pool_NHS):  # type: ignore[no-untyped-call]
        step_kernel[grid](
            pool_NHS, *tokens, read_B, write_B, noise_B, y_BHV, B * H, *pool_NHS.stride()[:2],
            *(stride for x in tokens for stride in x.stride()[:2]), read_B.stride(0), write_B.stride(0),
            0 if noise_B is None else noise_B.stride(0), **shape, **flags(form, J), NORMALIZE=normalize,
            EPSILON=EPSILON, TOGETHER=entries_together(pool_NHS, K), **OPTIONS,
        )  # fmt: skip
    return y_BHV


def tile_floats(form: Form) -> int:
    return TILE_OF_INNER_STEPS if form.inner else TILE


def tile_shape(floats: int, H: int, V: int, K: int) -> dict[str, int]:
    """The kernel's compile-time extents: as many rows of a state as fit a tile, then as many cells."""
    block_k = triton.next_power_of_2(K)
    block_v = min(triton.next_power_of_2(V), max(1, floats // block_k))
    block_c = max(1, floats // (block_v * block_k))
    return {"H": H, "V": V, "K": K, "BLOCK_C": block_c, "BLOCK_V": block_v, "BLOCK_K": block_k}


def flags(form: Form, J: int) -> dict[str, int]:
    """What distinguishes the rules, for the kernel: constants of its compilation."""
    decays, channels = form.decay is not Decay.NONE, form.decay is Decay.CHANNEL
    return {"J": J, "DECAYS": decays, "CHANNELS": channels, "CORRECTS": form.corrects}


@triton.jit  # type: ignore[untyped-decorator]
def step_kernel(  # type: ignore[no-untyped-def]
    p_pool, p_q, p_k, p_v, p_log_decay, p_beta, p_read, p_write, p_noise, p_y, cells, pool_n, pool_h,
    q_b, q_h, k_b, k_h, v_b, v_h, log_decay_b, log_decay_h, beta_b, beta_h, read_b, write_b, noise_b,
    H: tl.constexpr, V: tl.constexpr, K: tl.constexpr, J: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
    DECAYS: tl.constexpr, CHANNELS: tl.constexpr, CORRECTS: tl.constexpr,
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
    m_ck = m_live[:, None] & m_k[None, :]
    m_cv = m_live[:, None] & m_v[None, :]

    old, new = read * pool_n + h * pool_h, write * pool_n + h * pool_h
    row = i_v * K
    old, new = tl.multiple_of(old, TOGETHER), tl.multiple_of(new, TOGETHER)
    row = tl.multiple_of(row, TOGETHER)
    entry = row[None, :, None] + i_k[None, None, :]
    m_state = m_live[:, None, None] & m_v[None, :, None]
    if K != BLOCK_K:
        m_state = m_state & m_k[None, None, :]
    b_state = load_state(p_pool + (old[:, None, None] + entry), m_state)

    if CHANNELS:
        at_decay = (b * log_decay_b + h * log_decay_h)[:, None] + i_k[None, :]
        b_state = b_state * tl.exp(tl.load(p_log_decay + at_decay, mask=m_ck, other=0.0))[:, None, :]
    elif DECAYS:
        log_decay = tl.load(p_log_decay + b * log_decay_b + h * log_decay_h, mask=m_live, other=0.0)
        b_state = b_state * tl.exp(log_decay)[:, None, None]
    for j in tl.static_range(J):
        beta = tl.load(p_beta + b * beta_b + h * beta_h + j, mask=m_live, other=0.0)
        b_k = direction(p_k + ((b * k_b + h * k_h)[:, None] + i_k[None, :] + j * K), m_ck, NORMALIZE, EPSILON)
        b_error = tl.load(p_v + ((b * v_b + h * v_h)[:, None] + i_v[None, :] + j * V), mask=m_cv, other=0.0)
        if CORRECTS:
            b_error = b_error - tl.sum(b_state * b_k[:, None, :], 2)
        b_state = b_state + (beta[:, None] * b_error)[:, :, None] * b_k[:, None, :]

    noise = None
    if p_noise is not None:
        noise = tl.load(p_noise + b * noise_b, mask=m_live, other=0)[:, None, None]
    store_state(p_pool + (new[:, None, None] + entry), b_state, h[:, None, None] * (V * K) + entry, noise, m_state)
    b_q = direction(p_q + ((b * q_b + h * q_h)[:, None] + i_k[None, :]), m_ck, NORMALIZE, EPSILON)
    b_y = tl.sum(b_state * b_q[:, None, :], 2)
    tl.store(p_y + i_c[:, None] * V + i_v[None, :], b_y, mask=m_c[:, None] & m_v[None, :])


@triton.jit  # type: ignore[untyped-decorator]
def direction(p_x, m_x, NORMALIZE: tl.constexpr, EPSILON: tl.constexpr):  # type: ignore[no-untyped-def]
    """The rows of K channels at these places, of length one if asked for."""
    b_x = tl.load(p_x, mask=m_x, other=0.0)
    if NORMALIZE:
        b_x = unit(b_x, EPSILON)
    return b_x
