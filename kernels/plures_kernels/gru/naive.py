"""The gated recurrent unit, one token in plain torch. B rows, H heads, V channels; U are the V channels before."""

import torch
from torch import Tensor

State = tuple[Tensor, ...]


def advance(
    state: State,
    reset_BHV: Tensor,
    update_BHV: Tensor,
    candidate_BHV: Tensor,
    w_reset_HVU: Tensor,
    w_update_HVU: Tensor,
    w_candidate_HVU: Tensor,
    bias_HV: Tensor,
) -> tuple[Tensor, State]:
    """One token: the output and the new state, which are equal. As `torch.nn.GRUCell`."""
    (h_BHU,) = state
    reset_BHV = torch.sigmoid(reset_BHV + _product(w_reset_HVU, h_BHU))
    kept_BHV = torch.sigmoid(update_BHV + _product(w_update_HVU, h_BHU))
    candidate_BHV = torch.tanh(candidate_BHV + reset_BHV * (_product(w_candidate_HVU, h_BHU) + bias_HV))
    new_BHV = (1 - kept_BHV) * candidate_BHV + kept_BHV * h_BHU
    return new_BHV, (new_BHV,)


def _product(w_HVU: Tensor, h_BHU: Tensor) -> Tensor:
    return torch.einsum("hvu,bhu->bhv", w_HVU, h_BHU)
