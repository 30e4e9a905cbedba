"""The gated delta rule on the CPU, float32: one pass over each state, in place, rows × heads in parallel.

B rows, H heads, K key channels, V value channels, N pages.
"""

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from ..lanes import dot, load, plus_scaled, scaled, store
from ..norm import EPSILON

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
    """As `gated_delta.step`. The same bits for a row whatever else is in the batch."""
    y_BHV = torch.empty(v_BHV.shape, dtype=v_BHV.dtype)
    arrays = (x.detach().numpy() for x in (pool_NHVK, q_BHK, k_BHK, v_BHV, log_decay_BH, beta_BH))
    slots = (x.to(torch.int64).numpy() for x in (read_B, write_B))
    _step_kernel(q_BHK.size(-1))(*arrays, *slots, normalize, y_BHV.numpy())
    return y_BHV


@cache
def _step_kernel(key_channels: int) -> Any:
    """The step for one K: a row of state is then one SIMD value."""

    @njit(cache=True)  # type: ignore[untyped-decorator]
    def unit(row: Any) -> Any:
        return scaled(ONE / np.float32(math.sqrt(dot(row, row) + SMALL)), row)

    @njit(cache=True)  # type: ignore[untyped-decorator]
    def advance(
        pool_NHVK: Any, read: int, write: int, b: int, h: int, q: Any, k: Any, v_BHV: Any, alpha: Any, beta: Any, y: Any
    ) -> None:
        for i in range(v_BHV.shape[2]):
            decayed = scaled(alpha, load(pool_NHVK, (read, h, i), key_channels))
            error = v_BHV[b, h, i] - dot(decayed, k)
            new = plus_scaled(decayed, beta * error, k)
            store(pool_NHVK, (write, h, i), new)
            y[b, h, i] = dot(new, q)

    @njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
    def kernel(
        pool_NHVK: Any, q_BHK: Any, k_BHK: Any, v_BHV: Any, log_decay_BH: Any, beta_BH: Any, read_B: Any, write_B: Any,
        normalize: bool, y_BHV: Any,
    ) -> None:  # fmt: skip
        B, H = beta_BH.shape
        for i in prange(B * H):
            b, h = divmod(np.int64(i), H)
            if write_B[b] < 0:
                y_BHV[b, h] = 0
                continue
            q, k = load(q_BHK, (b, h), key_channels), load(k_BHK, (b, h), key_channels)
            if normalize:
                q, k = unit(q), unit(k)
            alpha = np.float32(math.exp(log_decay_BH[b, h]))
            advance(pool_NHVK, read_B[b], write_B[b], b, h, q, k, v_BHV, alpha, beta_BH[b, h], y_BHV)

    return kernel
