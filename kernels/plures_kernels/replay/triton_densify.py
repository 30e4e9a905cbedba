"""From factors to a dense state on the GPU, one launch: the base is read, and the state written, once.

A slots, B rows, H heads, L factors, K key channels, V value channels, G gates of a head, M bases, N pages. A program
works on one head of one row, and on some rows of its state.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..tiles import load_state, store_state
from .factors import Base, Factors

# Floats of state that a program holds in registers, 16 a thread.
TILE = 2048


def densify(
    factors: Factors, slot_B: Tensor, pool_NHS: Tensor, write_B: Tensor, base: Base | None, noise_B: Tensor | None
) -> None:
    """As `Replay.densify`, but for the counts; pool and base may be of bfloat16."""
    H, V, K, G = factors.keys_AHLK.size(1), *(x.size(-1) for x in (factors.updates_AHLV, *factors.tensors[:3:2]))
    if len(slot_B) == 0:
        return
    shape = tile_shape(V, K, G)
    states_MHS, index_B = (pool_NHS, write_B) if base is None else (base.states_MHS, base.index_B)
    with torch.cuda.device_of(pool_NHS):  # type: ignore[no-untyped-call]
        densify_kernel[(len(slot_B), H, triton.cdiv(V, shape["BLOCK_V"]))](
            *factors.tensors, slot_B, write_B, index_B, states_MHS, pool_NHS, noise_B,
            *(stride for buffer in factors.tensors[:3] for stride in buffer.stride()[:3]), factors.count_A.stride(0),
            slot_B.stride(0), write_B.stride(0), index_B.stride(0), *states_MHS.stride()[:2], *pool_NHS.stride()[:2],
            0 if noise_B is None else noise_B.stride(0), factors.window,
            **shape, BASED=base is not None, **options(shape),
        )  # fmt: skip


def tile_shape(V: int, K: int, G: int) -> dict[str, int]:
    """The kernel's compile-time extents."""
    block_k = triton.next_power_of_2(K)
    block_v = min(triton.next_power_of_2(V), max(1, TILE // block_k))
    return {"V": V, "K": K, "G": G, "BLOCK_V": block_v, "BLOCK_K": block_k}


def options(shape: dict[str, int]) -> dict[str, Any]:
    """Few enough threads for 128-bit loads and stores of a tile."""
    return {"num_warps": max(1, min(4, shape["BLOCK_V"] * shape["BLOCK_K"] // 128)), "enable_fp_fusion": True}


@triton.jit  # type: ignore[untyped-decorator]
def densify_kernel(  # type: ignore[no-untyped-def]
    p_keys, p_updates, p_decays, p_count, p_slot, p_write, p_index, p_states, p_pool, p_noise,
    keys_a, keys_h, keys_l, updates_a, updates_h, updates_l, decays_a, decays_h, decays_l, count_a,
    slot_b, write_b, index_b, states_m, states_h, pool_n, pool_h, noise_b, window,
    V: tl.constexpr, K: tl.constexpr, G: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
    BASED: tl.constexpr,
):  # fmt: skip
    """`keys_a` and its like are strides: of the keys, along their axis A."""
    b, h = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    i_v = tl.program_id(2) * BLOCK_V + tl.arange(0, BLOCK_V)
    i_k = tl.arange(0, BLOCK_K)
    i_g = tl.arange(0, BLOCK_K) if G > 1 else tl.arange(0, 1)
    m_v, m_k = i_v < V, i_k < K
    m_vk = m_v[:, None] & m_k[None, :]
    write = tl.load(p_write + b * write_b).to(tl.int64)
    if write >= 0:
        slot = tl.load(p_slot + b * slot_b).to(tl.int64)
        p_keys += slot * keys_a + h * keys_h
        p_updates += slot * updates_a + h * updates_h
        p_decays += slot * decays_a + h * decays_h
        left = tl.full([BLOCK_K], 1.0, tl.float32)
        b_state = tl.zeros([BLOCK_V, BLOCK_K], tl.float32)
        count = tl.load(p_count + slot * count_a)
        for i in range(window - count, window):
            b_key = tl.load(p_keys + i * keys_l + i_k, mask=m_k, other=0.0)
            b_update = tl.load(p_updates + i * updates_l + i_v, mask=m_v, other=0.0)
            b_state += b_update[:, None] * (b_key * left)[None, :]
            left *= tl.load(p_decays + i * decays_l + i_g, mask=i_g < G, other=0.0)
        number = i_v[:, None] * K + i_k[None, :]
        if BASED:
            index = tl.load(p_index + b * index_b).to(tl.int64)
            b_state += load_state(p_states + index * states_m + h * states_h + number, m_vk) * left[None, :]
        noise = None if p_noise is None else tl.load(p_noise + b * noise_b)
        store_state(p_pool + write * pool_n + h * pool_h + number, b_state, h * V * K + number, noise, m_vk)
