"""The step of temporal differences on the CPU, float32: rows × heads in parallel, each in one fixed order.

B rows, H heads, K key channels, V value channels, S floats of a head's state, N pages; G what is one number a head and
token: discount, hold, lapse.
"""

import math
from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from ..memory import empty_pages
from ..spec import Inputs
from .naive import LEAST

ZERO, ONE, SMALL = np.float32(0), np.float32(1), np.float32(LEAST)


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`: the same bits for a row whatever else is in the batch, and as a scan of one token."""
    # Of one layout, so that one kernel does for all.
    k_BHK, v_BHV, beta_BHV, *gates, greed_H, choice_H = (x.contiguous() for x in inputs)
    y_BHV = empty_pages(*v_BHV.shape)
    tensors = pool_NHS, k_BHK, v_BHV, beta_BHV, torch.stack(gates, dim=-1), greed_H.exp(), choice_H.exp()
    slots = read_B.to(torch.int64), write_B.to(torch.int64)
    _step(*(x.detach().numpy() for x in (*tensors, *slots, y_BHV)))
    return y_BHV


@njit(cache=True, parallel=True, nogil=True)
def _step(
    pool_NHS: Any, k_BHK: Any, v_BHV: Any, beta_BHV: Any, gates_BHG: Any, greed_H: Any, choice_H: Any, read_B: Any,
    write_B: Any, y_BHV: Any,
) -> None:  # fmt: skip
    B, H = y_BHV.shape[:2]
    for cell in prange(B * H):
        b, h = cell // H, cell % H
        y_BHV[b, h] = 0
        if write_B[b] >= 0:
            told = k_BHK[b, h], v_BHV[b, h], beta_BHV[b, h], gates_BHG[b, h], greed_H[h], choice_H[h]
            advance(pool_NHS[read_B[b], h], pool_NHS[write_B[b], h], told, y_BHV[b, h])


@njit
def advance(old_S: Any, new_S: Any, told: Any, y_V: Any) -> None:
    """One token of one head, from the state `old` to `new`; they may be one."""
    k_K, v_V, beta_V, gates_G, greed, choice = told
    w_K, u_V, p_V = np.empty(len(k_K), np.float32), np.empty_like(y_V), np.empty_like(y_V)
    discount, hold, lapse = gates_G
    attend(k_K, w_K)
    m = foresee(old_S, w_K, greed, u_V, p_V)
    write(old_S, new_S, w_K, v_V, beta_V, discount * m, u_V)
    hand_on(old_S, new_S, w_K, hold)
    soften(u_V, choice, p_V)
    for i in range(len(y_V)):
        y_V[i] = math.log(lapsing(p_V[i], lapse, len(y_V)))


@njit
def attend(k_K: Any, w_K: Any) -> Any:
    """w becomes how much of each key the token is; returns what the squares were divided by."""
    total = ZERO
    for j in range(len(k_K)):
        w_K[j] = max(k_K[j], ZERO) * max(k_K[j], ZERO)
        total += w_K[j]
    total = max(total, SMALL)
    for j in range(len(k_K)):
        w_K[j] /= total
    return total


@njit
def foresee(state_S: Any, w_K: Any, greed: Any, u_V: Any, p_V: Any) -> Any:
    """u becomes the values under w, p the share that each has in what is expected, which is returned."""
    K = len(w_K)
    for i in range(len(u_V)):
        u_V[i] = ZERO
        for j in range(K):
            u_V[i] += state_S[i * K + j] * w_K[j]
    soften(u_V, greed, p_V)
    expected = ZERO
    for i in range(len(u_V)):
        expected += p_V[i] * u_V[i]
    return expected


@njit
def soften(x_V: Any, sharpness: Any, p_V: Any) -> None:
    """p becomes the softmax of x times sharpness."""
    highest, total = x_V.max(), ZERO
    for i in range(len(x_V)):
        p_V[i] = math.exp(sharpness * (x_V[i] - highest))
        total += p_V[i]
    for i in range(len(x_V)):
        p_V[i] /= total


@njit
def lapsing(chance: Any, lapse: Any, V: Any) -> Any:
    return (ONE - lapse) * chance + lapse / np.float32(V) + SMALL


@njit
def write(old_S: Any, new_S: Any, w_K: Any, v_V: Any, beta_V: Any, ahead: Any, u_V: Any) -> None:
    """Write what came as a surprise; u, the values under w, becomes what they are after it."""
    V, K = len(v_V), len(w_K)
    along = overlap(old_S, w_K, V)
    for i in range(V):
        push = beta_V[i] * (v_V[i] + ahead - recall(old_S, i, V, K))
        for j in range(K):
            new_S[i * K + j] = old_S[i * K + j] + push * old_S[V * K + j]
        u_V[i] += push * along


@njit
def overlap(state_S: Any, w_K: Any, V: Any) -> Any:
    """How much of what is credited is what is seen."""
    found = ZERO
    for j in range(len(w_K)):
        found += state_S[V * len(w_K) + j] * w_K[j]
    return found


@njit
def recall(state_S: Any, i: Any, V: Any, K: Any) -> Any:
    """Channel i of the values under the key that is credited."""
    found = ZERO
    for j in range(K):
        found += state_S[i * K + j] * state_S[V * K + j]
    return found


@njit
def hand_on(old_S: Any, new_S: Any, w_K: Any, hold: Any) -> None:
    """What is seen now is what will be credited next, as far as nothing is held."""
    first = len(old_S) - len(w_K)
    for j in range(len(w_K)):
        new_S[first + j] = hold * old_S[first + j] + (ONE - hold) * w_K[j]
