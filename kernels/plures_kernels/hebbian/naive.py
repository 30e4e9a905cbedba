"""The Hebbian rule, one token in plain torch. B rows, H heads, K key channels, V value channels."""

import torch
from torch import Tensor

State = tuple[Tensor, ...]


def advance(
    state: State, q_BHK: Tensor, k_BHK: Tensor, v_BHV: Tensor, log_decay_BH: Tensor, beta_BH: Tensor
) -> tuple[Tensor, State]:
    """One token: the output and the new state."""
    (state_BHVK,) = state
    decayed_BHVK = state_BHVK * log_decay_BH.exp()[..., None, None]
    new_BHVK = decayed_BHVK + torch.einsum("bh,bhv,bhk->bhvk", beta_BH, v_BHV, k_BHK)
    return torch.einsum("bhvk,bhk->bhv", new_BHVK, q_BHK), (new_BHVK,)
