"""The step of attention over the last tokens on the CPU, float32: rows × heads in parallel, each in one fixed order.

B rows, H heads, W tokens in the window, K key channels, V value channels, S floats of a head's state, N pages.
"""

import math
from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from ..spec import Inputs


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`: the same bits for a row whatever else is in the batch."""
    y_BHV = torch.empty(inputs[2].shape)
    tensors = pool_NHS, *inputs, read_B.to(torch.int64), write_B.to(torch.int64), y_BHV
    _step(*(x.detach().numpy() for x in tensors))
    return y_BHV


@njit(cache=True, parallel=True, nogil=True)
def _step(
    pool_NHS: Any, q_BHK: Any, k_BHK: Any, v_BHV: Any, recency_HW: Any, read_B: Any, write_B: Any, y_BHV: Any
) -> None:
    B, H = y_BHV.shape[:2]
    for cell in prange(B * H):
        b, h = cell // H, cell % H
        y_BHV[b, h] = 0
        if write_B[b] >= 0:
            new_S = pool_NHS[write_B[b], h]
            _append(pool_NHS[read_B[b], h], new_S, k_BHK[b, h], v_BHV[b, h], recency_HW.shape[1])
            _attend(new_S, q_BHK[b, h], recency_HW[h], y_BHV[b, h])


@njit
def _append(old_S: Any, new_S: Any, k_K: Any, v_V: Any, W: Any) -> None:
    """Every token moves by one place, and the new one takes the last; old and new may be one."""
    K, V = len(k_K), len(v_V)
    values, there = W * K, W * (K + V)
    for i in range(values - K):
        new_S[i] = old_S[i + K]
    new_S[values - K : values] = k_K
    for i in range(values, there - V):
        new_S[i] = old_S[i + V]
    new_S[there - V : there] = v_V
    for i in range(there, there + W - 1):
        new_S[i] = old_S[i + 1]
    new_S[there + W - 1] = 1


@njit
def _attend(state_S: Any, q_K: Any, recency_W: Any, y_V: Any) -> None:
    K, V, W = len(q_K), len(y_V), len(recency_W)
    there = W * (K + V)
    scale, top = np.float32(1 / math.sqrt(K)), np.float32(-np.inf)
    score_W = np.empty(W, np.float32)
    for w in range(W):
        if state_S[there + w] != 0:
            dot = np.float32(0)
            for i in range(K):
                dot += state_S[w * K + i] * q_K[i]
            score_W[w] = dot * scale + recency_W[w]
            top = max(top, score_W[w])
    total = np.float32(0)
    for w in range(W):
        if state_S[there + w] != 0:
            weight = math.exp(score_W[w] - top)
            total += weight
            for i in range(V):
                y_V[i] += weight * state_S[W * K + w * V + i]
    for i in range(V):
        y_V[i] /= total
