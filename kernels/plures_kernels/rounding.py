"""Rounding to bfloat16 up or down by chance, so that it is right on average.

A bfloat16 keeps 8 bits: a change smaller than 1/512 of an entry is lost whenever the nearest is taken, for as many
steps as it comes again. Rounded up with the probability of what lies beyond (Gupta et al., arXiv:1502.02551, §3), the
entry follows the sum of all changes on average. The chance is counter-based: 64 random bits a row, which the caller
draws from (agent seed, step, layer), and the entry's place in the row; never the place in the batch.

B rows, H heads, S floats of a head's state. The integers are uint32, held in int64.
"""

import torch
from torch import Tensor

_LOW = 0xFFFFFFFF


def rounded(state_BHS: Tensor, dtype: torch.dtype, noise_B: Tensor | None) -> Tensor:
    """The state as `dtype`; by chance for bfloat16 with noise (int64, 64 random bits a row), else to the nearest."""
    return state_BHS.to(dtype) if noise_B is None else stochastic(state_BHS, noise_B)


def stochastic(state_BHS: Tensor, noise_B: Tensor) -> Tensor:
    """bfloat16 of float32: the upper 16 bits of (pattern + 16 random bits). What is not finite stays as it is."""
    state_BHS = state_BHS.float()
    pattern_BHS = state_BHS.view(torch.int32) + (_entry_bits(state_BHS, noise_B) & 0xFFFF).to(torch.int32)
    up_or_down_BHS = (pattern_BHS & ~0xFFFF).view(torch.float32)
    return torch.where(state_BHS.isfinite(), up_or_down_BHS, state_BHS).to(torch.bfloat16)


def _entry_bits(state_BHS: Tensor, noise_B: Tensor) -> Tensor:
    """32 random bits an entry, from the row's noise and the entry's number h·S + s."""
    number_HS = torch.arange(state_BHS[0].numel(), device=state_BHS.device).view(state_BHS.shape[1:])
    low_B11, high_B11 = (part[:, None, None] for part in (noise_B & _LOW, (noise_B >> 32) & _LOW))
    return mixed(mixed((high_B11 + number_HS) & _LOW) ^ low_B11)


def mixed(x: Tensor) -> Tensor:
    """Wellons' lowbias32: a bijection of uint32 in which a changed bit changes every other about half of the time."""
    x = (x ^ (x >> 16)) * 0x7FEB352D & _LOW
    x = (x ^ (x >> 15)) * 0x846CA68B & _LOW
    return x ^ (x >> 16)
