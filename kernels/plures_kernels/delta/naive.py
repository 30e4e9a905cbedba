"""The delta rule, one token in plain torch. B rows, H heads, K key channels, V value channels."""

import torch
from torch import Tensor

State = tuple[Tensor, ...]


def advance(state: State, q_BHK: Tensor, k_BHK: Tensor, v_BHV: Tensor, beta_BH: Tensor) -> tuple[Tensor, State]:
    """One token: the output and the new state."""
    (state_BHVK,) = state
    error_BHV = v_BHV - torch.einsum("bhvk,bhk->bhv", state_BHVK, k_BHK)
    new_BHVK = state_BHVK + torch.einsum("bh,bhv,bhk->bhvk", beta_BH, error_BHV, k_BHK)
    return torch.einsum("bhvk,bhk->bhv", new_BHVK, q_BHK), (new_BHVK,)
