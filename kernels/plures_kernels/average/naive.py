"""Sample averages under keys, one token in plain torch. B rows, H heads, K key channels, V value channels."""

import torch
from torch import Tensor

State = tuple[Tensor, ...]

LEAST = 1e-3
"""Counts with their prior are taken to be no less: nobody is surer of nothing than of something."""


def written(k_BHK: Tensor, beta_BH: Tensor) -> Tensor:
    """How much of a token goes under each key, w."""
    return beta_BH[..., None] * k_BHK.relu().square()


def read(sums_BHVK: Tensor, counts_BHK: Tensor, q_BHK: Tensor, doubt_HVK: Tensor, prior_HK: Tensor) -> Tensor:
    """y, of any leading axes."""
    known_BH1K = (counts_BHK.relu() + prior_HK).clamp(min=LEAST)[..., None, :]
    value_BHVK = sums_BHVK / known_BH1K + doubt_HVK * torch.rsqrt(known_BH1K)
    return (value_BHVK * q_BHK[..., None, :]).sum(-1)


def advance(
    state: State,
    q_BHK: Tensor,
    k_BHK: Tensor,
    v_BHV: Tensor,
    beta_BH: Tensor,
    doubt_HVK: Tensor,
    prior_HK: Tensor,
) -> tuple[Tensor, State]:
    """One token: the output and the new state."""
    sums_BHVK, counts_BHK = state
    w_BHK = written(k_BHK, beta_BH)
    sums_BHVK = sums_BHVK + v_BHV[..., None] * w_BHK[..., None, :]
    counts_BHK = counts_BHK + w_BHK
    return read(sums_BHVK, counts_BHK, q_BHK, doubt_HVK, prior_HK), (sums_BHVK, counts_BHK)
