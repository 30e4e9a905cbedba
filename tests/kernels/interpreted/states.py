"""Loading and storing states in Triton kernels, by Triton's interpreter; see `steps.py` beside this file."""

import pytest
import torch
import triton
import triton.language as tl
from plures_kernels.rounding import rounded
from plures_kernels.tiles import load_state, store_state

S = 64


@triton.jit
def copy(p_old, p_new, p_noise, S: tl.constexpr):
    row, number = tl.program_id(0), tl.arange(0, S)
    noise = None if p_noise is None else tl.load(p_noise + row)
    m_all = number < S
    store_state(p_new + row * S + number, load_state(p_old + row * S + number, m_all), number, noise, m_all)


@pytest.mark.parametrize("noisy", [True, False])
def test_a_kernel_rounds_as_the_definition(any_floats, generator, noisy):
    states = any_floats(300, 1, S)
    noise = torch.randint(-(2**63), 2**63 - 1, (300,), generator=generator) if noisy else None
    pool = torch.full(states.shape, torch.nan, dtype=torch.bfloat16)
    copy[(300,)](states, pool, noise, S)
    expected = rounded(states, torch.bfloat16, noise)
    torch.testing.assert_close(pool, expected, rtol=0, atol=0, equal_nan=True)


def test_a_kernel_widens_every_bfloat16_exactly():
    every = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16)
    floats = torch.full(every.shape, torch.nan)
    copy[(2**16 // S,)](every, floats, None, S)
    torch.testing.assert_close(floats, every.float(), rtol=0, atol=0, equal_nan=True)
