"""Counter-based random numbers: fixed for ever, uniform, and unrelated between seeds, steps and streams."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plures_kernels import counter

MASK = 0xFFFFFFFFFFFFFFFF
seeds = st.integers(0, MASK)
steps = st.integers(0, 2**63 - 1)
streams = st.integers(0, 1000)


def mix(x: int) -> int:
    """SplitMix64's finaliser, from the paper."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def plain_bits(seed: int, step: int, stream: int) -> int:
    golden = 0x9E3779B97F4A7C15
    counter_ = mix((seed + stream * 0xD1B54A32D192ED03 + golden) & MASK)
    return mix((counter_ + step * golden) & MASK)


def as_int64(*values: int) -> torch.Tensor:
    return torch.tensor([value - (1 << 64) if value >> 63 else value for value in values])


def kolmogorov(sample_N: torch.Tensor) -> float:
    """√N times the largest distance between the sample's distribution and the uniform one."""
    ordered, n = sample_N.double().sort().values, len(sample_N)
    rank = torch.arange(n, dtype=torch.float64)
    return math.sqrt(n) * float(torch.maximum(ordered - rank / n, (rank + 1) / n - ordered).max())


@given(seeds, steps, streams)
def test_the_bits_are_those_of_a_plain_implementation(seed: int, step: int, stream: int) -> None:
    expected = as_int64(plain_bits(seed, step, stream))
    assert torch.equal(counter.bits(as_int64(seed), step, stream), expected)
    assert torch.equal(counter.bits(as_int64(seed), torch.tensor([step]), stream), expected)


def test_the_numbers_never_change() -> None:
    """Lives that were recorded must be the same lives in every later version."""
    assert counter.bits(torch.tensor([0, 1, -1]), 0).tolist() == [
        5197578548964807871,
        -2529857523242969672,
        4922461756044938104,
    ]
    assert counter.uniform(torch.tensor([7]), 3, stream=1).item() == 0.0300104022026062


@given(seeds, steps, streams)
def test_a_uniform_number_is_the_upper_24_bits(seed: int, step: int, stream: int) -> None:
    expected = (plain_bits(seed, step, stream) >> 40) / 2**24
    assert counter.uniform(as_int64(seed), step, stream).tolist() == [expected]


@pytest.mark.parametrize("vary", ["seed", "step", "stream"])
def test_neighbouring_numbers_are_uniform(vary: str) -> None:
    n = 100_000
    along = torch.arange(n)
    if vary == "stream":
        sample = torch.cat([counter.uniform(torch.tensor([5]), 9, stream) for stream in range(4000)])
    else:
        sample = counter.uniform(along, 9) if vary == "seed" else counter.uniform(torch.tensor([5]).expand(n), along)
    assert sample.min() >= 0
    assert sample.max() < 1
    # A uniform sample is beyond 2.2 once in 8,000 times; this one is always the same.
    assert kolmogorov(sample) < 2.2


@pytest.mark.parametrize("lag", ["seed", "step", "stream"])
def test_neighbours_are_independent(lag: str) -> None:
    seed, step = torch.arange(300).repeat_interleave(300), torch.arange(300).repeat(300)
    first = counter.uniform(seed, step)
    second = {
        "seed": lambda: counter.uniform(seed + 1, step),
        "step": lambda: counter.uniform(seed, step + 1),
        "stream": lambda: counter.uniform(seed, step, stream=1),
    }[lag]()
    cells = (first * 16).long() * 16 + (second * 16).long()
    expected = len(cells) / 256
    chi2 = float((torch.bincount(cells, minlength=256) - expected).square().sum() / expected)
    # 255 degrees of freedom: 255 ± 5 standard deviations.
    assert abs(chi2 - 255) < 5 * math.sqrt(2 * 255)


def test_a_number_does_not_depend_on_its_place_in_the_batch() -> None:
    seed, step = torch.arange(1000) * 977, torch.arange(1000) % 13
    order = torch.randperm(1000)
    assert torch.equal(counter.bits(seed, step)[order], counter.bits(seed[order], step[order]))
    assert torch.equal(counter.bits(seed[17:18], step[17:18]), counter.bits(seed, step)[17:18])
