"""The gated delta rule's step on the CPU, float32: one pass over each state, rows × heads in parallel.

B rows, H heads, K key channels, V value channels, N pages; R rows of a state are worked on at a time.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import njit, prange, void
from numpy.typing import NDArray
from torch import Tensor

from ..compiled import SLOTS, SWITCH, fingerprint, float32_view
from ..norm import EPSILON
from ..simd import dot, dots, height, load, minus, plus_outer, plus_scaled, prefetch, scaled, store, zeros

# Floats of a state that are worked on at a time: with more, the registers run out.
TILE = 128
ONE = np.float32(1)
SMALL = np.float32(EPSILON)


def step(
    pool_NHVK: Tensor,
    q_BHK: Tensor,
    k_BHK: Tensor,
    v_BHV: Tensor,
    log_decay_BH: Tensor,
    beta_BH: Tensor,
    read_B: Tensor,
    write_B: Tensor,
    normalize: bool,
) -> Tensor:
    """As `gated_delta.step`: the same bits for a row whatever else is in the batch, and as a scan of one token."""
    y_BHV = v_BHV.new_empty(v_BHV.shape)
    floats = map(as_array, (pool_NHVK, q_BHK, k_BHK, v_BHV, log_decay_BH, beta_BH))
    slots = (as_array(x.to(torch.int64)) for x in (read_B, write_B))
    V, K = pool_NHVK.shape[-2:]
    step_kernel(K, rows_at_a_time(V, K))(*floats, *slots, normalize, y_BHV.numpy())
    return y_BHV


def as_array(x: Tensor) -> NDArray[Any]:
    """The same memory, for numba."""
    array: NDArray[Any] = x.detach().numpy() if x.requires_grad else x.numpy()
    return array


def rows_at_a_time(V: int, K: int, floats: int = TILE) -> int:
    """R: the largest power of two that divides V and whose rows are no more than so many floats, or 1."""
    return math.gcd(V, 1 << max(0, (floats // max(K, 1)).bit_length() - 1))


@njit
def copy(old_VK: Any, new_VK: Any, tile: Any) -> None:
    """new becomes old."""
    for i in range(0, new_VK.shape[0], height(tile)):
        store(new_VK, (i, 0), load(old_VK, (i, 0), tile))


@njit
def unit(row: Any) -> Any:
    """As `norm.unit`."""
    return scaled(ONE / math.sqrt(dot(row, row) + SMALL), row)


@njit
def query_and_key(q_K: Any, k_K: Any, like: Any, normalize: bool) -> Any:
    """Both as rows of the shape of `like`, of length one if asked for."""
    q, k = load(q_K, (0,), like), load(k_K, (0,), like)
    if normalize:
        q, k = unit(q), unit(k)
    return q, k


@njit
def advance(
    old_VK: Any,
    new_VK: Any,
    soon_VK: Any,
    q: Any,
    k: Any,
    v_V: Any,
    alpha: Any,
    beta: Any,
    y_V: Any,
    tile: Any,
    column: Any,
) -> None:
    """One token of one head, old to new (they may be one); asks for the state that comes soon on the way."""
    overlap = dot(k, q)
    for i in range(0, v_V.size, height(tile)):
        prefetch(soon_VK, (i, 0), tile)
        decayed = scaled(alpha, load(old_VK, (i, 0), tile))
        update = scaled(beta, minus(load(v_V, (i,), column), dots(decayed, k)))
        store(y_V, (i,), plus_scaled(dots(decayed, q), overlap, update))
        store(new_VK, (i, 0), plus_outer(decayed, update, k))


@cache
def step_kernel(K: int, R: int) -> Callable[..., None]:
    """The step, compiled for keys of K channels."""
    sources = fingerprint(__file__)
    states, rows, gates = float32_view(4), float32_view(3), float32_view(2)

    @njit(
        void(states, rows, rows, rows, gates, gates, SLOTS, SLOTS, SWITCH, rows),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        pool_NHVK: Any, q_BHK: Any, k_BHK: Any, v_BHV: Any, log_decay_BH: Any, beta_BH: Any,
        read_B: Any, write_B: Any, normalize: bool, y_BHV: Any,
    ) -> None:  # fmt: skip
        assert sources
        B, H = beta_BH.shape
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            if write_B[b] < 0:
                for i in range(y_BHV.shape[2]):
                    y_BHV[b, h, i] = 0
                continue
            q, k = query_and_key(q_BHK[b, h], k_BHK[b, h], zeros(1, K), normalize)
            soon = read_B[min(b + 1, B - 1)]
            advance(
                pool_NHVK[read_B[b], h], pool_NHVK[write_B[b], h], pool_NHVK[soon, h], q, k, v_BHV[b, h],
                math.exp(log_decay_BH[b, h]), beta_BH[b, h], y_BHV[b, h], zeros(R, K), zeros(1, R),
            )  # fmt: skip

    return kernel
