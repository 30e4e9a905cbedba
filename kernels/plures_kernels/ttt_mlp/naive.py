"""Test-time training of a two-layer memory, one token in plain torch. B rows, H heads, V channels, F hidden units."""

import math

import torch
from torch import Tensor
from torch.nn.functional import gelu

from ..ttt.naive import read, slope

State = tuple[Tensor, ...]
# The tanh form of GELU is x σ(A x + C x³), since (1 + tanh(a)) / 2 = σ(2a).
A = 2 * math.sqrt(2 / math.pi)
C = 0.044715 * A


def gelu_slope(x: Tensor) -> Tensor:
    """The derivative of GELU in its tanh form."""
    gate = torch.sigmoid(A * x + C * x**3)
    return gate + x * gate * (1 - gate) * (A + 3 * C * x.square())


def advance(
    state: State, q_BHV: Tensor, k_BHV: Tensor, v_BHV: Tensor, beta_BH: Tensor, w1_HFV: Tensor, b1_HF: Tensor,
    w2_HFV: Tensor, b2_HV: Tensor, gain_HV: Tensor, bias_HV: Tensor,
) -> tuple[Tensor, State]:  # fmt: skip
    """One token: the output and the new state. TTT-MLP, arXiv:2407.04620, §2.7, with a mini-batch of one token."""
    start = w1_HFV, b1_HF, w2_HFV, b2_HV
    w1_BHFV, b1_BHF, w2_BHFV, b2_BHV = (first + part for first, part in zip(start, state, strict=True))
    h_BHF = torch.einsum("bhfv,bhv->bhf", w1_BHFV, k_BHV) + b1_BHF
    a_BHF = gelu(h_BHF, approximate="tanh")
    z_BHV = torch.einsum("bhfv,bhf->bhv", w2_BHFV, a_BHF) + b2_BHV
    rate_BH1 = beta_BH[..., None] / h_BHF.size(-1)
    u_BHV = -rate_BH1 * slope(z_BHV, v_BHV - k_BHV, gain_HV, bias_HV)
    w_BHF = gelu_slope(h_BHF) * torch.einsum("bhfv,bhv->bhf", w2_BHFV, u_BHV)
    updates = w_BHF[..., None] * k_BHV[..., None, :], w_BHF, a_BHF[..., None] * u_BHV[..., None, :], u_BHV
    new = tuple(part + update for part, update in zip(state, updates, strict=True))
    w1_BHFV, b1_BHF, w2_BHFV, b2_BHV = (first + part for first, part in zip(start, new, strict=True))
    a_BHF = gelu(torch.einsum("bhfv,bhv->bhf", w1_BHFV, q_BHV) + b1_BHF, approximate="tanh")
    z_BHV = torch.einsum("bhfv,bhf->bhv", w2_BHFV, a_BHF) + b2_BHV
    return read(z_BHV, q_BHV, gain_HV, bias_HV), new
