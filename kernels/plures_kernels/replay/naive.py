"""Replay in plain torch, any float dtype: the truth that the other backends are tested against.

A slots, B rows, H heads, L factors, K key channels, V value channels, G gates of a head, M bases, S floats of a state.
"""

import torch
from torch import Tensor

from ..norm import unit
from ..rounding import rounded
from .factors import Base, Factors, Tokens


def step(factors: Factors, slot_B: Tensor, tokens: Tokens, base: Base | None, normalize: bool) -> Tensor:
    """As `Replay.step`, by way of the dense state."""
    y_BHV = torch.zeros_like(tokens.v_BHV)
    live_B = slot_B >= 0
    q_BHK, k_BHK, v_BHV, log_decay_BHG, beta_BH = (x[live_B] for x in tokens)
    if normalize:
        q_BHK, k_BHK = unit(q_BHK), unit(k_BHK)
    slot_B, alpha_BHG = slot_B[live_B], log_decay_BHG.exp()
    decayed_BHVK = dense(factors, slot_B, picked(base, live_B)) * alpha_BHG[..., None, :]
    update_BHV = beta_BH[..., None] * (v_BHV - _product(decayed_BHVK, k_BHK))
    y_BHV[live_B] = _product(decayed_BHVK, q_BHK) + (k_BHK * q_BHK).sum(-1, keepdim=True) * update_BHV
    _append(factors, slot_B, k_BHK, update_BHV, alpha_BHG)
    return y_BHV


def densify(
    factors: Factors, slot_B: Tensor, pool_NHS: Tensor, write_B: Tensor, base: Base | None, noise_B: Tensor | None
) -> None:
    """As `Replay.densify`, but for the counts."""
    live_B = write_B >= 0
    state_BHVK = dense(factors, slot_B[live_B], picked(base, live_B))
    noise = None if noise_B is None else noise_B[live_B]
    pool_NHS[write_B[live_B]] = rounded(state_BHVK.flatten(2), pool_NHS.dtype, noise)


def dense(factors: Factors, slot_B: Tensor, base: Base | None) -> Tensor:
    """S_t = S_0 Diag(γ_t) + Σ_i u_i (k_i ∘ Π_{j>i} α_j)ᵀ of the slots, [B, H, V, K]."""
    missing_BL = torch.arange(factors.window, device=slot_B.device) < factors.window - factors.count_A[slot_B][:, None]
    missing_B1L1 = missing_BL[:, None, :, None]
    keys_BHLK, updates_BHLV = (x[slot_B].masked_fill(missing_B1L1, 0) for x in factors.tensors[:2])
    decays_BHLG = factors.decays_AHLG[slot_B].masked_fill(missing_B1L1, 1)
    left_BHLG = decays_BHLG.cumprod(2)
    after_BHLG = torch.cat([torch.ones_like(left_BHLG[:, :, :1]), left_BHLG[:, :, :-1]], dim=2)
    state_BHVK = torch.einsum("bhlv,bhlk->bhvk", updates_BHLV, keys_BHLK * after_BHLG)
    if base is None:
        return state_BHVK
    start_BHVK = base.states_MHS[base.index_B].to(state_BHVK.dtype).view(state_BHVK.shape)
    return state_BHVK + start_BHVK * left_BHLG[:, :, -1:]


def picked(base: Base | None, rows: Tensor) -> Base | None:
    return None if base is None else Base(base.states_MHS, base.index_B[rows], base.shared)


def _append(factors: Factors, slot_B: Tensor, *new: Tensor) -> None:
    place_B = factors.window - 1 - factors.count_A[slot_B]
    for buffer_AHLX, x_BHX in zip(factors.tensors, new, strict=False):
        buffer_AHLX[slot_B, :, place_B] = x_BHX


def _product(state_BHVK: Tensor, x_BHK: Tensor) -> Tensor:
    return torch.einsum("bhvk,bhk->bhv", state_BHVK, x_BHK)
