"""The real-gated linear recurrent unit, one token in plain torch. B rows, H heads, V channels."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

State = tuple[Tensor, ...]

# The most that a channel decays at a token: by σ(Λ) to this power (Griffin, arXiv:2402.19427, §2.4).
POWER = 8.0


def advance(
    state: State, x_BHV: Tensor, recurrence_BHV: Tensor, gate_BHV: Tensor, decay_HV: Tensor
) -> tuple[Tensor, State]:
    """One token: the output and the new state, which are equal. Griffin, arXiv:2402.19427, eq. 3 and 4."""
    (h_BHV,) = state
    log_a_BHV = most(decay_HV) * recurrence_BHV
    new_BHV = log_a_BHV.exp() * h_BHV + _complement(log_a_BHV) * (gate_BHV * x_BHV)
    return new_BHV, (new_BHV,)


def most(decay_HV: Tensor) -> Tensor:
    """The logarithm of the most that a channel decays at a token."""
    return -POWER * softplus(-decay_HV)


def _complement(log_a_BHV: Tensor) -> Tensor:
    """√(1 − a²), whose derivative is taken as 0 at a = 1, where it is infinite."""
    square_BHV = -torch.expm1(2 * log_a_BHV)
    nothing_BHV = square_BHV <= 0
    return square_BHV.masked_fill(nothing_BHV, 1).sqrt().masked_fill(nothing_BHV, 0)
