"""The gated delta rule, one token in plain torch. B rows, H heads, K key channels, V value channels."""

import torch
from torch import Tensor

State = tuple[Tensor, ...]


def advance(
    state: State, q_BHK: Tensor, k_BHK: Tensor, v_BHV: Tensor, log_decay_BH: Tensor, beta_BH: Tensor
) -> tuple[Tensor, State]:
    """One token: the output and the new state. Gated DeltaNet, arXiv:2412.06464, eq. 10, transposed."""
    (state_BHVK,) = state
    decayed_BHVK = state_BHVK * log_decay_BH.exp()[..., None, None]
    error_BHV = v_BHV - torch.einsum("bhvk,bhk->bhv", decayed_BHVK, k_BHK)
    new_BHVK = decayed_BHVK + torch.einsum("bh,bhv,bhk->bhvk", beta_BH, error_BHV, k_BHK)
    return torch.einsum("bhvk,bhk->bhv", new_BHVK, q_BHK), (new_BHVK,)
