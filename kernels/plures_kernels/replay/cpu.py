"""The replayed step on the CPU, float32: from the newest factor back to the base, rows × heads in parallel.

A slots, B rows, H heads, L factors, K key channels, V value channels, G gates of a head, M bases, P threads; R rows of
a state are worked on at a time.

On the way back query and key take on each factor's decay, so that a decay is only ever a product of numbers in [0, 1],
which may reach 0 but is never a ratio of two that did; what arrives at the base is γ∘q and γ∘k.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, get_num_threads, get_thread_id, int64, njit, prange, void  # type: ignore[attr-defined]
from torch import Tensor

from ..directions import ONE, query_and_key
from ..memory import empty_pages
from ..rows import rows_at_a_time
from ..simd import (
    FLOAT_BYTES,
    at,
    dot,
    dots,
    fingerprint,
    height,
    load,
    load_scalar,
    minus,
    plus_scaled,
    scaled,
    slot_at,
    store,
    store_scalar,
    times_row,
    view,
    view_type,
    zeros,
)
from .factors import Base, Factors, Tokens

NO_BASE, SHARED_BASE, OWN_BASE = range(3)


def step(factors: Factors, slot_B: Tensor, tokens: Tokens, base: Base | None, normalize: bool) -> Tensor:
    """As `Replay.step`: the same bits for a row whatever else is in the batch."""
    (B, H, V), K, G = tokens.v_BHV.shape, tokens.k_BHK.size(-1), tokens.log_decay_BHG.size(-1)
    mode, states_MHXX, index_B = _start(base, H, V, K, slot_B)
    y_BHV = empty_pages(B, H, V)
    scratch_PX = y_BHV.new_empty(get_num_threads(), 2 * (K + V))
    tensors = *factors.tensors, slot_B.to(torch.int64), *tokens, states_MHXX, index_B, y_BHV, scratch_PX
    step_kernel(K, V, G, rows_at_a_time(V, K))(B, H, factors.window, normalize, mode, *map(view, tensors))
    return y_BHV


def _start(base: Base | None, H: int, V: int, K: int, slot_B: Tensor) -> tuple[int, Tensor, Tensor]:
    """The kind of base, the states (transposed when they are shared) and which of them each row has."""
    if base is None:
        return NO_BASE, torch.empty(0, 0, 0, 0), slot_B
    index_B = base.index_B.to(torch.int64)
    states_MHVK = base.states_MHS.view(-1, H, V, K)
    if not base.shared:
        return OWN_BASE, states_MHVK, index_B
    if len(states_MHVK) > 1:
        # A skipped row's index is not looked at, and may be anything.
        used_M, index_B = _used(torch.where(slot_B < 0, 0, index_B))
        states_MHVK = states_MHVK[used_M]
    return SHARED_BASE, states_MHVK.mT.contiguous(), index_B


def _used(index_B: Tensor) -> tuple[Tensor, Tensor]:
    """The bases that there are rows on, and which of them each row is on."""
    used_M, place_B = np.unique(index_B.numpy(), return_inverse=True)
    return torch.from_numpy(used_M), torch.from_numpy(place_B)


@cache
def step_kernel(K: int, V: int, G: int, R: int) -> Callable[..., None]:
    """The step, compiled for keys of K channels, values of V, and G gates."""
    sources = fingerprint(__file__)
    buffers, rows, gates, slots, own = (view_type(axes) for axes in (4, 3, 2, 1, 2))
    factors, tokens = (buffers, buffers, buffers, slots), (rows, rows, rows, rows, gates)
    stride = FLOAT_BYTES * K

    @njit(
        void(
            int64, int64, int64, boolean, int64, *factors, slots, *tokens, buffers, slots, rows, own
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, H: int, L: int, normalize: bool, mode: int, keys_AHLK: Any, updates_AHLV: Any, decays_AHLG: Any,
        count_A: Any, slot_B: Any, q_BHK: Any, k_BHK: Any, v_BHV: Any, log_decay_BHG: Any, beta_BH: Any,
        states_MHXX: Any, index_B: Any, y_BHV: Any, scratch_PX: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            slot = slot_at(slot_B, b)
            if slot < 0:
                store(at(y_BHV, b, h), 0, zeros(1, V))
                continue
            count = slot_at(count_A, slot)
            new = L - 1 - count
            keys, updates = at(keys_AHLK, slot, h, new), at(updates_AHLV, slot, h, new)
            decays = at(decays_AHLG, slot, h, new)
            strides = FLOAT_BYTES * keys_AHLK[3], FLOAT_BYTES * updates_AHLV[3], FLOAT_BYTES * decays_AHLG[3]
            for g in range(G):
                alpha = math.exp(load_scalar(at(log_decay_BHG, b, h, g)))
                store_scalar(decays + g * FLOAT_BYTES, alpha)
            q, k = query_and_key(at(q_BHK, b, h), at(k_BHK, b, h), zeros(1, K), normalize)
            store(keys, 0, k)
            overlap = dot(k, q)
            of_q, of_k, q, k = recall(keys, updates, decays, strides, count, q, k, zeros(1, V), zeros(1, G))
            scratch = at(scratch_PX, get_thread_id())
            if mode == SHARED_BASE:
                state = at(states_MHXX, slot_at(index_B, b), h)
                of_q, of_k = plus_shared(of_q, of_k, q, k, state, scratch, V, K)
            elif mode == OWN_BASE:
                state = at(states_MHXX, slot_at(index_B, b), h)
                of_q, of_k = plus_own(of_q, of_k, q, k, state, stride, scratch, V, zeros(R, K), zeros(1, R))
            update = scaled(load_scalar(at(beta_BH, b, h)), minus(load(at(v_BHV, b, h), 0, of_k), of_k))
            store(updates, 0, update)
            store(at(y_BHV, b, h), 0, plus_scaled(of_q, overlap, update))

    return kernel


@njit
def recall(
    keys: Any, updates: Any, decays: Any, strides: Any, count: Any, q: Any, k: Any, value: Any, gates: Any
) -> Any:
    """What the factors hold under q and under k, and the two as they arrive at the base.

    The addresses are those of the token's own factor, of which the decay is there; the older ones follow.
    """
    of_q, of_k = value, value
    decay = load(decays, 0, gates)
    q, k = times_row(q, decay), times_row(k, decay)
    for i in range(1, count + 1):
        key, update = load(keys + i * strides[0], 0, q), load(updates + i * strides[1], 0, value)
        of_q, of_k = plus_scaled(of_q, dot(key, q), update), plus_scaled(of_k, dot(key, k), update)
        decay = load(decays + i * strides[2], 0, gates)
        q, k = times_row(q, decay), times_row(k, decay)
    return of_q, of_k, q, k


@njit
def plus_shared(of_q: Any, of_k: Any, q: Any, k: Any, state: Any, scratch: Any, V: Any, K: Any) -> Any:
    """of_q + S q and of_k + S k, where Sᵀ is at `state`: channel by channel, so that no sum goes across a register."""
    beside = scratch + FLOAT_BYTES * K
    store(scratch, 0, q)
    store(beside, 0, k)
    for j in range(K):
        channel, column = FLOAT_BYTES * j, load(state + FLOAT_BYTES * j * V, 0, of_q)
        of_q = plus_scaled(of_q, load_scalar(scratch + channel), column)
        of_k = plus_scaled(of_k, load_scalar(beside + channel), column)
    return of_q, of_k


@njit
def plus_own(
    of_q: Any, of_k: Any, q: Any, k: Any, state: Any, stride: Any, scratch: Any, V: Any, tile: Any, column: Any
) -> Any:
    """of_q + S q and of_k + S k in one pass over S, which is at `state`."""
    beside = FLOAT_BYTES * V
    store(scratch, 0, of_q)
    store(scratch + beside, 0, of_k)
    for i in range(0, V, height(tile)):
        rows, at_q = load(state + i * stride, stride, tile), scratch + i * FLOAT_BYTES
        store(at_q, 0, plus_scaled(load(at_q, 0, column), ONE, dots(rows, q)))
        store(at_q + beside, 0, plus_scaled(load(at_q + beside, 0, column), ONE, dots(rows, k)))
    return load(scratch, 0, of_q), load(scratch + beside, 0, of_k)
