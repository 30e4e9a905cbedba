"""From factors to a dense state on the CPU, float32: the base is read, and the state written, once.

A slots, B rows, H heads, L factors, K key channels, V value channels, G gates of a head, M bases, N pages, P threads; R
rows of a state are worked on at a time.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, get_num_threads, get_thread_id, int64, njit, prange, void  # type: ignore[attr-defined]
from torch import Tensor

from ..directions import ONE
from ..rows import rows_at_a_time
from ..simd import (
    FLOAT_BYTES,
    at,
    filled,
    fingerprint,
    height,
    load,
    plus_outer,
    slot_at,
    store,
    times_row,
    view,
    view_type,
    zeros,
)
from .factors import Base, Factors


def densify(
    factors: Factors, slot_B: Tensor, pool_NHS: Tensor, write_B: Tensor, base: Base | None, noise_B: Tensor | None
) -> None:
    """As `Replay.densify`, but for the counts."""
    (_, H, L, K), V, G = factors.keys_AHLK.shape, factors.updates_AHLV.size(-1), factors.decays_AHLG.size(-1)
    states_MHS, index_B = (pool_NHS, write_B) if base is None else (base.states_MHS, base.index_B)
    scratch_PX = pool_NHS.new_empty(get_num_threads(), (L + 1) * K)
    slots = (x.to(torch.int64) for x in (slot_B, write_B, index_B))
    tensors = *factors.tensors, *slots, states_MHS.view(-1, H, V, K), pool_NHS.view(-1, H, V, K), scratch_PX
    densify_kernel(K, G, rows_at_a_time(V, K))(len(slot_B), H, L, V, base is not None, *map(view, tensors))


@cache
def densify_kernel(K: int, G: int, R: int) -> Callable[..., None]:
    """Compiled for keys of K channels and G gates."""
    sources = fingerprint(__file__)
    buffers, slots, own = (view_type(axes) for axes in (4, 1, 2))
    factors, stride = (buffers, buffers, buffers, slots), FLOAT_BYTES * K

    @njit(
        void(
            int64, int64, int64, int64, boolean, *factors, slots, slots, slots, buffers, buffers, own
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, H: int, L: int, V: int, based: bool, keys_AHLK: Any, updates_AHLV: Any, decays_AHLG: Any, count_A: Any,
        slot_B: Any, write_B: Any, index_B: Any, states_MHVK: Any, pool_NHVK: Any, scratch_PX: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            write = slot_at(write_B, b)
            if write < 0:
                continue
            slot, scratch = slot_at(slot_B, b), at(scratch_PX, get_thread_id())
            count, left = slot_at(count_A, slot), filled(ONE, zeros(1, K))
            for i in range(count):
                key = load(at(keys_AHLK, slot, h, L - count + i), 0, left)
                store(scratch + i * stride, 0, times_row(key, left))
                left = times_row(left, load(at(decays_AHLG, slot, h, L - count + i), 0, zeros(1, G)))
            new, updates, tile = at(pool_NHVK, write, h), at(updates_AHLV, slot, h, L - count), zeros(R, K)
            for i in range(0, V, height(tile)):
                rows = zeros(R, K)
                if based:
                    old = load(at(states_MHVK, slot_at(index_B, b), h, i), stride, rows)
                    rows = times_row(old, left)
                for factor in range(count):
                    update = load(updates + FLOAT_BYTES * (factor * updates_AHLV[3] + i), 0, zeros(1, R))
                    rows = plus_outer(rows, update, load(scratch + factor * stride, 0, left))
                store(new + i * stride, stride, rows)

    return kernel
