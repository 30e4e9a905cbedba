"""The backward of the scan of temporal differences on the CPU, by hand.

B sequences, T time, H heads, K key channels, V value channels, S floats of a head's state; G discount, hold, lapse.

One token. Forward, with the sharpnesses g and c already exponentials, r the values under w after the write:

    u = S w      p = softmax(g u)      m = p·u      e = v + γm − S z      a = β∘e      S' = S + a zᵀ
    z' = hz + (1−h)w      r = u + a (z·w)      o = softmax(c r)      y = log((1−ε)o + ε/V)

Backward, with D and d the gradients of S' and z' that come from later tokens, and ∂y the given one:

    n = ∂y ∘ exp(−y)       ∂ε = n·(1/V − o)      l = (1−ε) o∘(n − o·n)      ∂c = l·r      ∂r = c l
    D ← D + ∂r wᵀ          ∂w = S'ᵀ∂r + (1−h)d         ∂h = d·(z − w)      f = D z      ∂β = f∘e      ∂v = ∂e = β∘f
    ∂m = γ Σ∂e             ∂γ = m Σ∂e                  ∂g = ∂m Σ p∘u∘(u − m)              ∂u = ∂m p∘(1 + g(u − m))
    ∂z = hd + Dᵀa − Sᵀ∂e   ∂w ← ∂w + Sᵀ∂u              ∂S = D − ∂e zᵀ + ∂u wᵀ
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit, prange

from ..simd import fingerprint
from . import cpu
from .cpu import ONE, SMALL, ZERO, attend, foresee, lapsing, overlap, recall, soften


@cache
def backward_kernel() -> Callable[..., None]:
    """The backward; `dstate_BHS` goes from the last state's to the first's, `dgreed_BH` and `dchoice_BH` are added to.

    `before_BTHS`: the state before each token.
    """
    sources = fingerprint(__file__, cpu.__file__)

    @njit(cache=True, parallel=True, nogil=True)
    def kernel(
        k_BTHK: Any, v_BTHV: Any, beta_BTHV: Any, gates_BTHG: Any, greed_H: Any, choice_H: Any, before_BTHS: Any,
        dy_BTHV: Any, dk_BTHK: Any, dv_BTHV: Any, dbeta_BTHV: Any, dgates_BTHG: Any, dgreed_BH: Any, dchoice_BH: Any,
        dstate_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        B, T, H, _ = dy_BTHV.shape
        for cell in prange(B * H):
            b, h = cell // H, cell % H
            for t in range(T - 1, -1, -1):
                told = (
                    k_BTHK[b, t, h],
                    v_BTHV[b, t, h],
                    beta_BTHV[b, t, h],
                    gates_BTHG[b, t, h],
                    greed_H[h],
                    choice_H[h],
                )
                grads = dk_BTHK[b, t, h], dv_BTHV[b, t, h], dbeta_BTHV[b, t, h], dgates_BTHG[b, t, h]
                dgreed, dchoice = retreat(before_BTHS[b, t, h], told, dy_BTHV[b, t, h], grads, dstate_BHS[b, h])
                dgreed_BH[b, h] += dgreed
                dchoice_BH[b, h] += dchoice

    return kernel


@njit
def retreat(state_S: Any, told: Any, dy_V: Any, grads: Any, dstate_S: Any) -> Any:
    """One token backward: dstate goes from the new state's to the old one's; returns those of both sharpnesses."""
    k_K, v_V, beta_V, gates_G, greed, choice = told
    dk_K, dv_V, dbeta_V, dgates_G = grads
    discount, hold, lapse = gates_G
    w_K, dw_K, u_V, p_V = np.empty_like(k_K), np.empty_like(k_K), np.empty_like(v_V), np.empty_like(v_V)
    divisor = attend(k_K, w_K)
    m = foresee(state_S, w_K, greed, u_V, p_V)
    error_V = surprise(state_S, v_V, discount * m, len(k_K))
    r_V = u_V + beta_V * error_V * overlap(state_S, w_K, len(v_V))
    dr_V, dlapse, dchoice = of_choice(r_V, dy_V, lapse, choice)
    dhold = of_credit(state_S, dstate_S, w_K, hold, dw_K, len(v_V))
    total = of_writing(state_S, dstate_S, w_K, dw_K, dr_V, beta_V, error_V, hold, dbeta_V, dv_V)
    du_V, dgreed = of_foresight(u_V, p_V, m, greed, discount * total)
    of_reading(state_S, dstate_S, w_K, dw_K, du_V)
    of_key(k_K, w_K, dw_K, divisor, dk_K)
    dgates_G[0], dgates_G[1], dgates_G[2] = m * total, dhold, dlapse
    return dgreed, dchoice


@njit
def surprise(state_S: Any, v_V: Any, ahead: Any, K: Any) -> Any:
    error_V = np.empty_like(v_V)
    for i in range(len(v_V)):
        error_V[i] = v_V[i] + ahead - recall(state_S, i, len(v_V), K)
    return error_V


@njit
def of_choice(r_V: Any, dy_V: Any, lapse: Any, choice: Any) -> Any:
    """∂r, ∂ε, ∂c."""
    V, dr_V = len(r_V), np.empty_like(r_V)
    o_V = np.empty_like(r_V)
    soften(r_V, choice, o_V)
    mean, dlapse, dchoice = ZERO, ZERO, ZERO
    for i in range(V):
        dr_V[i] = dy_V[i] / lapsing(o_V[i], lapse, V)
        mean += o_V[i] * dr_V[i]
        dlapse += dr_V[i] * (ONE / np.float32(V) - o_V[i])
    for i in range(V):
        slope = (ONE - lapse) * o_V[i] * (dr_V[i] - mean)
        dchoice += slope * r_V[i]
        dr_V[i] = choice * slope
    return dr_V, dlapse, dchoice


@njit
def of_credit(state_S: Any, dstate_S: Any, w_K: Any, hold: Any, dw_K: Any, V: Any) -> Any:
    """∂h; ∂w becomes what comes from what is credited next."""
    first, dhold = V * len(w_K), ZERO
    for j in range(len(w_K)):
        d = dstate_S[first + j]
        dhold += d * (state_S[first + j] - w_K[j])
        dw_K[j] = (ONE - hold) * d
    return dhold


@njit
def of_writing(
    state_S: Any, dstate_S: Any, w_K: Any, dw_K: Any, dr_V: Any, beta_V: Any, error_V: Any, hold: Any, dbeta_V: Any,
    dv_V: Any,
) -> Any:  # fmt: skip
    """Σ∂e; D becomes ∂S and d becomes ∂z, but for what comes from u; ∂w gains what comes from r."""
    V, K = len(beta_V), len(w_K)
    first, total = V * K, ZERO
    for j in range(K):
        dstate_S[first + j] *= hold
    for i in range(V):
        slope, push = ZERO, beta_V[i] * error_V[i]
        for j in range(K):
            slope += (dstate_S[i * K + j] + dr_V[i] * w_K[j]) * state_S[first + j]
        dbeta_V[i], dv_V[i] = slope * error_V[i], slope * beta_V[i]
        total += dv_V[i]
        for j in range(K):
            z, old, grad = state_S[first + j], state_S[i * K + j], dstate_S[i * K + j] + dr_V[i] * w_K[j]
            dw_K[j] += dr_V[i] * (old + push * z)
            dstate_S[first + j] += push * grad - dv_V[i] * old
            dstate_S[i * K + j] = grad - dv_V[i] * z
    return total


@njit
def of_foresight(u_V: Any, p_V: Any, m: Any, greed: Any, dm: Any) -> Any:
    """∂u as far as it comes from m, and ∂g."""
    du_V, dgreed = np.empty_like(u_V), ZERO
    for i in range(len(u_V)):
        ahead = u_V[i] - m
        du_V[i] = dm * p_V[i] * (ONE + greed * ahead)
        dgreed += dm * p_V[i] * u_V[i] * ahead
    return du_V, dgreed


@njit
def of_reading(state_S: Any, dstate_S: Any, w_K: Any, dw_K: Any, du_V: Any) -> None:
    """∂S and ∂w gain what comes from u."""
    K = len(w_K)
    for i in range(len(du_V)):
        for j in range(K):
            dw_K[j] += state_S[i * K + j] * du_V[i]
            dstate_S[i * K + j] += du_V[i] * w_K[j]


@njit
def of_key(k_K: Any, w_K: Any, dw_K: Any, divisor: Any, dk_K: Any) -> None:
    """∂k from ∂w; where the divisor is the least there may be, it does not change with the key."""
    along = ZERO
    if divisor > SMALL:
        for j in range(len(k_K)):
            along += dw_K[j] * w_K[j]
    for j in range(len(k_K)):
        dk_K[j] = np.float32(2) * max(k_K[j], ZERO) * (dw_K[j] - along) / divisor
