"""The step of sample averages on the CPU, float32: rows × heads in parallel, each in one fixed order.

B rows, H heads, K key channels, V value channels, S floats of a head's state, N pages.
"""

from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from ..memory import empty_pages
from ..norm import unit
from ..spec import Inputs
from .naive import LEAST, written

_LEAST = np.float32(LEAST)


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`: the same bits for a row whatever else is in the batch."""
    q_BHK, k_BHK, v_BHV, beta_BH, doubt_HVK, prior_HK = inputs
    if normalize:
        q_BHK, k_BHK = unit(q_BHK), unit(k_BHK)
    y_BHV = empty_pages(*v_BHV.shape)
    tensors = pool_NHS, q_BHK, written(k_BHK, beta_BH), v_BHV, doubt_HVK, prior_HK
    slots = read_B.to(torch.int64), write_B.to(torch.int64)
    _step(*(x.detach().numpy() for x in (*tensors, *slots, y_BHV)))
    return y_BHV


@njit(cache=True, parallel=True, nogil=True)
def _step(
    pool_NHS: Any, q_BHK: Any, w_BHK: Any, v_BHV: Any, doubt_HVK: Any, prior_HK: Any, read_B: Any, write_B: Any,
    y_BHV: Any,
) -> None:  # fmt: skip
    B, H = y_BHV.shape[:2]
    for cell in prange(B * H):
        b, h = cell // H, cell % H
        y_BHV[b, h] = 0
        if write_B[b] >= 0:
            new_S = pool_NHS[write_B[b], h]
            _write(pool_NHS[read_B[b], h], new_S, w_BHK[b, h], v_BHV[b, h])
            _read(new_S, q_BHK[b, h], doubt_HVK[h], prior_HK[h], y_BHV[b, h])


@njit
def _write(old_S: Any, new_S: Any, w_K: Any, v_V: Any) -> None:
    """Old and new may be one."""
    V, K = len(v_V), len(w_K)
    for i in range(V):
        for j in range(K):
            new_S[i * K + j] = old_S[i * K + j] + v_V[i] * w_K[j]
    for j in range(K):
        new_S[V * K + j] = old_S[V * K + j] + w_K[j]


@njit
def _read(state_S: Any, q_K: Any, doubt_VK: Any, prior_K: Any, y_V: Any) -> None:
    V, K = doubt_VK.shape
    for j in range(K):
        known = max(max(state_S[V * K + j], np.float32(0)) + prior_K[j], _LEAST)
        of_sum, of_doubt = q_K[j] / known, q_K[j] / np.sqrt(known)
        for i in range(V):
            y_V[i] += state_S[i * K + j] * of_sum + doubt_VK[i, j] * of_doubt
