"""Kimi delta attention, one token in plain torch. B rows, H heads, K key channels, V value channels."""

import torch
from torch import Tensor

State = tuple[Tensor, ...]


def advance(
    state: State, q_BHK: Tensor, k_BHK: Tensor, v_BHV: Tensor, log_decay_BHK: Tensor, beta_BH: Tensor
) -> tuple[Tensor, State]:
    """One token: the output and the new state. Kimi Linear, arXiv:2510.26692, eq. 1, transposed."""
    (state_BHVK,) = state
    decayed_BHVK = state_BHVK * log_decay_BHK.exp()[..., None, :]
    error_BHV = v_BHV - torch.einsum("bhvk,bhk->bhv", decayed_BHVK, k_BHK)
    new_BHVK = decayed_BHVK + torch.einsum("bh,bhv,bhk->bhvk", beta_BH, error_BHV, k_BHK)
    return torch.einsum("bhvk,bhk->bhv", new_BHVK, q_BHK), (new_BHVK,)
