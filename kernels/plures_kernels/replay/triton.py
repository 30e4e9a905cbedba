"""The replayed step on the GPU, one launch: from the newest factor back to the base.

A slots, B rows, H heads, L factors, K key channels, V value channels, G gates of a head, M bases. A program works on
one head of some rows that follow one another, and on some of the value channels.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..norm import EPSILON
from ..tiles import load_state
from .factors import Base, Factors, Tokens

# Rows of a program that share a base, as many as a matrix product takes.
ROWS = 16
# Key channels that a matrix product takes at a time.
CHUNK = 16
# Floats that a program holds of each of its keys or values; of the bases of rows that have their own.
TILE = 1024
STATE_TILE = 2048


def step(factors: Factors, slot_B: Tensor, tokens: Tokens, base: Base | None, normalize: bool) -> Tensor:
    """As `Replay.step`, in one launch that reads nothing back; y is NaN for a row whose window is full."""
    y_BHV = tokens.v_BHV.new_empty(tokens.v_BHV.shape)
    (B, H, V), K, G = y_BHV.shape, tokens.k_BHK.size(-1), tokens.log_decay_BHG.size(-1)
    if B == 0:
        return y_BHV
    shape = tile_shape(V, K, G, None if base is None else base.shared)
    # Without a base, anything will do that has addresses.
    states_MHS, index_B = (y_BHV, slot_B) if base is None else (base.states_MHS, base.index_B)
    # Every program of a row writes and reads the same there.
    arrived_2BHK = y_BHV.new_empty(2, B, H, K)
    rows = triton.cdiv(B, shape["BLOCK_B"])
    with torch.cuda.device_of(y_BHV):  # type: ignore[no-untyped-call]
        step_kernel[(rows, H, triton.cdiv(V, shape["BLOCK_V"]))](
            *factors.tensors, slot_B, *tokens, states_MHS, index_B, y_BHV, arrived_2BHK, B, factors.window,
            *(stride for buffer in factors.tensors[:3] for stride in buffer.stride()[:3]), factors.count_A.stride(0),
            slot_B.stride(0), *(stride for x in tokens[:3] for stride in x.stride()[:2]),
            *tokens.log_decay_BHG.stride(), *tokens.beta_BH.stride(), *states_MHS.stride()[:2], index_B.stride(0),
            **shape, NORMALIZE=normalize, EPSILON=EPSILON, **options(shape),
        )  # fmt: skip
    return y_BHV


def tile_shape(V: int, K: int, G: int, shared: bool | None) -> dict[str, int | bool | None]:
    """The kernel's compile-time extents; `shared` as in `Base`, None without a base."""
    block_k, block_v = (max(16, triton.next_power_of_2(extent)) for extent in (K, V))
    if shared is False:
        block_v = min(block_v, max(1, STATE_TILE // block_k))
        block_b = max(1, STATE_TILE // (block_v * block_k))
    else:
        block_v, block_b = min(block_v, TILE // ROWS), ROWS
    return {
        "V": V,
        "K": K,
        "G": G,
        "SHARED": shared,
        "BLOCK_B": block_b,
        "CHUNK": CHUNK,
        "BLOCK_V": block_v,
        "BLOCK_K": block_k,
    }


def options(shape: dict[str, Any]) -> dict[str, Any]:
    """As many threads as load a key of each row by 128 bits each; for bases of their own, a tile of those by four."""
    floats = STATE_TILE // 4 if shape["SHARED"] is False else ROWS * shape["BLOCK_K"]
    return {"num_warps": floats // (4 * 32), "enable_fp_fusion": True}


@triton.jit  # type: ignore[untyped-decorator]
def step_kernel(  # type: ignore[no-untyped-def]
    p_keys, p_updates, p_decays, p_count, p_slot, p_q, p_k, p_v, p_log_decay, p_beta, p_states, p_index, p_y, p_arrived,
    rows, window,
    keys_a, keys_h, keys_l, updates_a, updates_h, updates_l, decays_a, decays_h, decays_l, count_a,
    slot_b, q_b, q_h, k_b, k_h, v_b, v_h, log_decay_b, log_decay_h, log_decay_g,
    beta_b, beta_h, states_m, states_h, index_b,
    V: tl.constexpr, K: tl.constexpr, G: tl.constexpr, SHARED: tl.constexpr,
    BLOCK_B: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr, CHUNK: tl.constexpr,
    NORMALIZE: tl.constexpr, EPSILON: tl.constexpr,
):  # fmt: skip
    """`keys_a` and its like are strides: of the keys, along their axis A."""
    b = tl.program_id(0).to(tl.int64) * BLOCK_B + tl.arange(0, BLOCK_B)
    h = tl.program_id(1).to(tl.int64)
    cell = b * tl.num_programs(1) + h
    i_v = tl.program_id(2) * BLOCK_V + tl.arange(0, BLOCK_V)
    i_k = tl.arange(0, BLOCK_K)
    i_g = tl.arange(0, BLOCK_K) if G > 1 else tl.arange(0, 1)
    m_b, m_v, m_k, m_g = b < rows, i_v < V, i_k < K, i_g < G

    slot = tl.load(p_slot + b * slot_b, mask=m_b, other=-1).to(tl.int64)
    count = tl.load(p_count + slot * count_a, mask=slot >= 0, other=0)
    m_live = (slot >= 0) & (count < window)
    count = tl.where(m_live, count, 0)
    m_bk, m_bv, m_bg = m_live[:, None] & m_k[None, :], m_live[:, None] & m_v[None, :], m_live[:, None] & m_g[None, :]
    b_q = tl.load(p_q + (b * q_b + h * q_h)[:, None] + i_k[None, :], mask=m_bk, other=0.0)
    b_k = tl.load(p_k + (b * k_b + h * k_h)[:, None] + i_k[None, :], mask=m_bk, other=0.0)
    b_v = tl.load(p_v + (b * v_b + h * v_h)[:, None] + i_v[None, :], mask=m_bv, other=0.0)
    beta = tl.load(p_beta + b * beta_b + h * beta_h, mask=m_live, other=0.0)
    p_gates = p_log_decay + (b * log_decay_b + h * log_decay_h)[:, None] + i_g[None, :] * log_decay_g
    b_decay = tl.exp(tl.load(p_gates, mask=m_bg, other=0.0))
    if NORMALIZE:
        b_q = b_q * tl.rsqrt(tl.sum(b_q * b_q, 1) + EPSILON)[:, None]
        b_k = b_k * tl.rsqrt(tl.sum(b_k * b_k, 1) + EPSILON)[:, None]
    overlap = tl.sum(b_q * b_k, 1)

    new = window - 1 - count
    keys, updates = slot * keys_a + h * keys_h + new * keys_l, slot * updates_a + h * updates_h + new * updates_l
    decays = slot * decays_a + h * decays_h + new * decays_l
    if tl.program_id(2) == 0:
        tl.store(p_keys + keys[:, None] + i_k[None, :], b_k, mask=m_bk)
        tl.store(p_decays + decays[:, None] + i_g[None, :], b_decay, mask=m_bg)

    b_q, b_k = b_q * b_decay, b_k * b_decay
    of_q, of_k = tl.zeros_like(b_v), tl.zeros_like(b_v)
    for i in range(1, tl.max(count) + 1):
        m_i = (i <= count)[:, None]
        b_key = tl.load(p_keys + (keys + i * keys_l)[:, None] + i_k[None, :], mask=m_i & m_bk, other=0.0)
        b_update = tl.load(p_updates + (updates + i * updates_l)[:, None] + i_v[None, :], mask=m_i & m_bv, other=0.0)
        b_decay = tl.load(p_decays + (decays + i * decays_l)[:, None] + i_g[None, :], mask=m_i & m_bg, other=1.0)
        of_q += tl.sum(b_key * b_q, 1)[:, None] * b_update
        of_k += tl.sum(b_key * b_k, 1)[:, None] * b_update
        b_q, b_k = b_q * b_decay, b_k * b_decay

    if SHARED is not None:
        index = tl.load(p_index + b * index_b, mask=m_live, other=0).to(tl.int64)
        p_states += h * states_h
        if SHARED:
            p_arrived_q = p_arrived + cell * K
            p_arrived_k = p_arrived_q + rows * tl.num_programs(1) * K
            tl.store(p_arrived_q[:, None] + i_k[None, :], b_q, mask=m_bk)
            tl.store(p_arrived_k[:, None] + i_k[None, :], b_k, mask=m_bk)
            tl.debug_barrier()
            of_q, of_k = plus_shared(
                of_q, of_k, p_arrived_q, p_arrived_k, p_states, states_m, index, m_live, i_v, V, K, CHUNK
            )
        else:
            p_rows = p_states + (index * states_m)[:, None, None] + i_v[None, :, None] * K + i_k[None, None, :]
            b_state = load_state(p_rows, m_bv[:, :, None] & m_k[None, None, :])
            of_q += tl.sum(b_state * b_q[:, None, :], 2)
            of_k += tl.sum(b_state * b_k[:, None, :], 2)

    b_update = beta[:, None] * (b_v - of_k)
    tl.store(p_updates + updates[:, None] + i_v[None, :], b_update, mask=m_bv)
    full = (slot >= 0) & (m_live == 0)
    b_y = tl.where(full[:, None], float("nan"), of_q + overlap[:, None] * b_update)
    tl.store(p_y + (cell * V)[:, None] + i_v[None, :], b_y, mask=m_b[:, None] & m_v[None, :])


@triton.jit  # type: ignore[untyped-decorator]
def plus_shared(  # type: ignore[no-untyped-def]
    of_q, of_k, p_q, p_k, p_states, states_m, index, m_live, i_v, V: tl.constexpr, K: tl.constexpr, CHUNK: tl.constexpr
):
    """of_q + S q and of_k + S k: a matrix product for each base that there are rows on, in ascending order.

    It goes by chunks of the channels, since a product takes a row's chunk into the registers of every warp.
    """
    beyond = 0x7FFFFFFFFFFFFFFF
    base = tl.min(tl.where(m_live, index, beyond))
    while base < beyond:
        m_here = m_live & (index == base)
        sum_q, sum_k = tl.zeros_like(of_q), tl.zeros_like(of_k)
        for first in range(0, K, CHUNK):
            i_k = first + tl.arange(0, CHUNK)
            m_bk = m_here[:, None] & (i_k < K)[None, :]
            p_state = p_states + base * states_m + i_v[None, :] * K + i_k[:, None]
            b_state_KV = load_state(p_state, (i_k < K)[:, None] & (i_v < V)[None, :])
            b_q = tl.load(p_q[:, None] + i_k[None, :], mask=m_bk, other=0.0)
            b_k = tl.load(p_k[:, None] + i_k[None, :], mask=m_bk, other=0.0)
            sum_q = tl.dot(b_q, b_state_KV, sum_q, input_precision="tf32x3")
            sum_k = tl.dot(b_k, b_state_KV, sum_k, input_precision="tf32x3")
        # Not added as zeros to the others, which a base that is not finite would reach.
        of_q += tl.where(m_here[:, None], sum_q, 0.0)
        of_k += tl.where(m_here[:, None], sum_k, 0.0)
        base = tl.min(tl.where(m_live & (index > base), index, beyond))
    return of_q, of_k
