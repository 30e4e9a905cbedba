"""The gated delta product, one token in plain torch. B rows, H heads, J inner steps, K key and V value channels."""

import torch
from torch import Tensor

State = tuple[Tensor, ...]


def advance(
    state: State, q_BHK: Tensor, k_BHJK: Tensor, v_BHJV: Tensor, log_decay_BH: Tensor, beta_BHJ: Tensor
) -> tuple[Tensor, State]:
    """One token: the output and the new state."""
    (state_BHVK,) = state
    state_BHVK = state_BHVK * log_decay_BH.exp()[..., None, None]
    for k_BHK, v_BHV, beta_BH in zip(k_BHJK.unbind(2), v_BHJV.unbind(2), beta_BHJ.unbind(2), strict=True):
        error_BHV = v_BHV - torch.einsum("bhvk,bhk->bhv", state_BHVK, k_BHK)
        state_BHVK = state_BHVK + torch.einsum("bh,bhv,bhk->bhvk", beta_BH, error_BHV, k_BHK)
    return torch.einsum("bhvk,bhk->bhv", state_BHVK, q_BHK), (state_BHVK,)
