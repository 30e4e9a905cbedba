"""Temporal differences, one token in plain torch. B rows, H heads, K key channels, V value channels."""

import torch
from torch import Tensor

State = tuple[Tensor, ...]

LEAST = 1e-6
"""Keys whose square is smaller are not drawn to length one; chances have that much added before their logarithm."""


def attended(k_BHK: Tensor) -> Tensor:
    """How much of each key a token is, w: not negative, one in sum."""
    square_BHK = k_BHK.relu().square()
    return square_BHK / square_BHK.sum(-1, keepdim=True).clamp(min=LEAST)


def chances(value_BHV: Tensor, sharpness_H: Tensor) -> Tensor:
    """Of each channel, by its value."""
    return (sharpness_H.exp()[:, None] * value_BHV).softmax(-1)


def read(values_BHVK: Tensor, w_BHK: Tensor) -> Tensor:
    return torch.einsum("bhvk,bhk->bhv", values_BHVK, w_BHK)


def advance(
    state: State,
    k_BHK: Tensor,
    v_BHV: Tensor,
    beta_BHV: Tensor,
    discount_BH: Tensor,
    hold_BH: Tensor,
    lapse_BH: Tensor,
    greed_H: Tensor,
    choice_H: Tensor,
) -> tuple[Tensor, State]:
    """One token: the output and the new state."""
    values_BHVK, credited_BHK = state
    w_BHK = attended(k_BHK)
    ahead_BHV = read(values_BHVK, w_BHK)
    expected_BH1 = (chances(ahead_BHV, greed_H) * ahead_BHV).sum(-1, keepdim=True)
    error_BHV = v_BHV + discount_BH[..., None] * expected_BH1 - read(values_BHVK, credited_BHK)
    values_BHVK = values_BHVK + (beta_BHV * error_BHV)[..., None] * credited_BHK[..., None, :]
    hold_BH1, lapse_BH1 = hold_BH[..., None], lapse_BH[..., None]
    chance_BHV = chances(read(values_BHVK, w_BHK), choice_H)
    y_BHV = ((1 - lapse_BH1) * chance_BHV + lapse_BH1 / v_BHV.size(-1) + LEAST).log()
    return y_BHV, (values_BHVK, hold_BH1 * credited_BHK + (1 - hold_BH1) * w_BHK)
