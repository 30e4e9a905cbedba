"""Linear Titans, one token in plain torch. B rows, H heads, K key channels, V value channels."""

import torch
from torch import Tensor

State = tuple[Tensor, ...]


def advance(
    state: State,
    q_BHK: Tensor,
    k_BHK: Tensor,
    v_BHV: Tensor,
    log_decay_BH: Tensor,
    momentum_BH: Tensor,
    beta_BH: Tensor,
) -> tuple[Tensor, State]:
    """One token: the output and the new state. Titans, arXiv:2501.00663, eq. 13 and 14."""
    state_BHVK, motion_BHVK = state
    error_BHV = v_BHV - torch.einsum("bhvk,bhk->bhv", state_BHVK, k_BHK)
    push_BHVK = torch.einsum("bh,bhv,bhk->bhvk", beta_BH, error_BHV, k_BHK)
    motion_BHVK = momentum_BH[..., None, None] * motion_BHVK + push_BHVK
    state_BHVK = log_decay_BH.exp()[..., None, None] * state_BHVK + motion_BHVK
    return torch.einsum("bhvk,bhk->bhv", state_BHVK, q_BHK), (state_BHVK, motion_BHVK)
