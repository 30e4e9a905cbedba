"""The gated delta rule's step on the CPU, float32: one pass over each state, rows × heads in parallel.

B rows, H heads, K key channels, V value channels, N pages; R rows of a state are worked on at a time.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, int64, njit, prange, void
from torch import Tensor

from ..norm import EPSILON
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
    plus_outer,
    plus_scaled,
    prefetch,
    scaled,
    slot_at,
    store,
    view,
    view_type,
    zeros,
)
from ..spec import Inputs

# Floats of a state up to which it pays to ask for the next one: longer ones push out what is being worked on.
NEAR = 64 * 64
ONE = np.float32(1)
SMALL = np.float32(EPSILON)


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`: the same bits for a row whatever else is in the batch, and as a scan of one token."""
    _, k_BHK, v_BHV, *_ = inputs
    (B, H, V), K = v_BHV.shape, k_BHK.size(-1)
    pool_NHVK = pool_NHS.view(-1, H, V, K)
    y_BHV = v_BHV.new_empty(v_BHV.shape)
    read_B, write_B = read_B.to(torch.int64), write_B.to(torch.int64)
    tensors = pool_NHVK, *inputs, read_B, write_B, y_BHV
    step_kernel(K, rows_at_a_time(V, K))(B, H, V, normalize, *map(view, tensors))
    return y_BHV


def rows_at_a_time(V: int, K: int, most: int = 8) -> int:
    """R: a power of two that divides V; `most` up to 16 key channels, fewer for more, one from 64 on (measured)."""
    fit = most * 16 // max(K, 16) if K < 64 else 1
    return math.gcd(V, 1 << (fit.bit_length() - 1))


@njit
def copy(old: Any, new: Any, stride: Any, V: Any, tile: Any) -> None:
    """The state at new becomes the one at old."""
    for i in range(0, V, height(tile)):
        store(new + i * stride, stride, load(old + i * stride, stride, tile))


@njit
def unit(row: Any) -> Any:
    """As `norm.unit`."""
    return scaled(ONE / np.float32(math.sqrt(dot(row, row) + SMALL)), row)


@njit
def query_and_key(q: Any, k: Any, row: Any, normalize: bool) -> Any:
    """The rows at two addresses, of length one if asked for."""
    query, key = load(q, 0, row), load(k, 0, row)
    if normalize:
        query, key = unit(query), unit(key)
    return query, key


@njit
def advance(
    old: Any, new: Any, stride: Any, soon: Any, q: Any, k: Any, v: Any, alpha: Any, beta: Any, y: Any, V: Any,
    tile: Any, column: Any,
) -> None:  # fmt: skip
    """One token of one head, from the state at old to that at new (they may be one).

    On the way it asks for the state at soon, which comes next, unless that is 0.
    """
    overlap = dot(k, q)
    for i in range(0, V, height(tile)):
        if soon:
            prefetch(soon + i * stride, stride, tile)
        decayed = scaled(alpha, load(old + i * stride, stride, tile))
        update = scaled(beta, minus(load(v + i * FLOAT_BYTES, 0, column), dots(decayed, k)))
        store(y + i * FLOAT_BYTES, 0, plus_scaled(dots(decayed, q), overlap, update))
        store(new + i * stride, stride, plus_outer(decayed, update, k))


@cache
def step_kernel(K: int, R: int) -> Callable[..., None]:
    """The step, compiled for keys of K channels."""
    sources = fingerprint(__file__)
    pool, rows, gates, slots = (view_type(axes) for axes in (4, 3, 2, 1))

    @njit(
        void(int64, int64, int64, boolean, pool, rows, rows, rows, gates, gates, slots, slots, rows),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, H: int, V: int, normalize: bool, pool_NHVK: Any, q_BHK: Any, k_BHK: Any, v_BHV: Any,
        log_decay_BH: Any, beta_BH: Any, read_B: Any, write_B: Any, y_BHV: Any,
    ) -> None:  # fmt: skip
        assert sources
        stride = FLOAT_BYTES * pool_NHVK[3]
        dense = pool_NHVK[1] == H * V * K
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            read, write = slot_at(read_B, b), slot_at(write_B, b)
            if write < 0:
                for i in range(0, V, R):
                    store(at(y_BHV, b, h, i), 0, zeros(1, R))
                continue
            alpha = math.exp(load_scalar(at(log_decay_BH, b, h)))
            q, k = query_and_key(at(q_BHK, b, h), at(k_BHK, b, h), zeros(1, K), normalize)
            following = slot_at(read_B, min(b + 1, B - 1))
            # States that follow one another in memory come by themselves.
            asks = V * K <= NEAR and not (dense and following == read + 1)
            advance(
                at(pool_NHVK, read, h), at(pool_NHVK, write, h), stride, at(pool_NHVK, following, h) if asks else 0,
                q, k, at(v_BHV, b, h), alpha, load_scalar(at(beta_BH, b, h)), at(y_BHV, b, h), V,
                zeros(R, K), zeros(1, R),
            )  # fmt: skip

    return kernel
