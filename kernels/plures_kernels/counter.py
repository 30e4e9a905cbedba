"""Counter-based random numbers: a pure function of (seed, step, stream), never of the place in a batch.

The mixer is SplitMix64's finaliser (Steele, Lea & Flood, OOPSLA 2014, "Fast splittable pseudorandom number
generators"), applied twice so that neighbouring seeds, steps and streams share no structure.
"""

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_STREAM = 0xD1B54A32D192ED03


def _signed(value: int) -> int:
    """The int64 that has the bits of a uint64: torch multiplies int64 modulo 2^64."""
    value &= 0xFFFFFFFFFFFFFFFF
    return value - (1 << 64) if value >> 63 else value


def _shift_right(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift_right(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shift_right(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shift_right(x, 31)


def bits(seed_B: Tensor, step_B: Tensor | int, stream: int = 0) -> Tensor:
    """64 random bits a row, as int64 [B]; seed int64 [B] (the bits of a uint64), step int64 [B] or one for all."""
    counter = _mix(seed_B + _signed(stream * _STREAM + _GOLDEN))
    offset = _signed(step_B * _GOLDEN) if isinstance(step_B, int) else step_B * _signed(_GOLDEN)
    return _mix(counter + offset)


def uniform(seed_B: Tensor, step_B: Tensor | int, stream: int = 0) -> Tensor:
    """Uniform float32 [B] in [0, 1), a multiple of 2^-24, from the upper 24 of `bits`."""
    return _shift_right(bits(seed_B, step_B, stream), 40).to(torch.float32) * 2.0**-24
