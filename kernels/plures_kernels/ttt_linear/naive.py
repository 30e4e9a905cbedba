"""Test-time training of a linear memory, one token in plain torch. B rows, H heads, V channels of keys and values."""

import torch
from torch import Tensor

from ..ttt.naive import read, slope

State = tuple[Tensor, ...]


def advance(
    state: State, q_BHV: Tensor, k_BHV: Tensor, v_BHV: Tensor, beta_BH: Tensor, w0_HVV: Tensor, b0_HV: Tensor,
    gain_HV: Tensor, bias_HV: Tensor,
) -> tuple[Tensor, State]:  # fmt: skip
    """One token: the output and the new state. TTT-Linear, arXiv:2407.04620, §2.7, with a mini-batch of one token."""
    w_BHVV, b_BHV = state
    z_BHV = torch.einsum("bhvk,bhk->bhv", w0_HVV + w_BHVV, k_BHV) + b0_HV + b_BHV
    update_BHV = -beta_BH[..., None] * slope(z_BHV, v_BHV - k_BHV, gain_HV, bias_HV)
    w_BHVV = w_BHVV + torch.einsum("bhv,bhk->bhvk", update_BHV, k_BHV)
    b_BHV = b_BHV + update_BHV
    z_BHV = torch.einsum("bhvk,bhk->bhv", w0_HVV + w_BHVV, q_BHV) + b0_HV + b_BHV
    return read(z_BHV, q_BHV, gain_HV, bias_HV), (w_BHVV, b_BHV)
