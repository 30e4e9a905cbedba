"""States of bfloat16: rounded alike by every backend, and right on average where it is by chance."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from numba import int64, njit, void
from plures_kernels import RULES, counter
from plures_kernels.rounding import rounded
from plures_kernels.simd import form_of, load_state, slot_at, state_at, store_state, view, view_type, zeros
from plures_kernels.threads import use_one_core

ROWS, WIDTH = 2, 8
TILE = ROWS * WIDTH


def noise_of(generator, rows):
    return torch.randint(-(2**63), 2**63 - 1, (rows,), generator=generator)


def copier(source, target):
    """A kernel that loads states of one form and stores them in another."""
    pool, slots = view_type(3), view_type(1)

    @njit(void(int64, int64, int64, pool, pool, slots))
    def copy(B, H, S, old_BHS, new_BHS, noise_B):
        for b in range(B):
            for h in range(H):
                old = state_at(source, old_BHS, b, h, S, 0)
                new = state_at(target, new_BHS, b, h, S, slot_at(noise_B, b))
                for entry in range(0, S, TILE):
                    store_state(new, entry, load_state(old, entry, zeros(ROWS, WIDTH)))

    return copy


def copied(states_BHS, pool_BHS, noise_B=None):
    """The states in the pool, by way of a kernel."""
    B, H, S = states_BHS.shape
    noise_view = view(torch.zeros(B, dtype=torch.int64) if noise_B is None else noise_B)
    kernel = copier(form_of(states_BHS, None), form_of(pool_BHS, noise_B))
    kernel(B, H, S, view(states_BHS), view(pool_BHS), noise_view)
    return pool_BHS


def assert_same_bits(actual, expected):
    """One NaN is as good as another."""
    assert actual.dtype == expected.dtype
    torch.testing.assert_close(actual.isnan(), expected.isnan(), rtol=0, atol=0)
    integers = {torch.float32: torch.int32, torch.bfloat16: torch.int16}[actual.dtype]
    patterns = (x.nan_to_num(0.5, torch.inf, -torch.inf).view(integers) for x in (actual, expected))
    torch.testing.assert_close(*patterns, rtol=0, atol=0)


@pytest.mark.parametrize("noisy", [True, False])
def test_a_kernel_rounds_as_the_definition(any_floats, generator, noisy):
    states = any_floats(500, 3, 2 * TILE)
    noise = noise_of(generator, 500) if noisy else None
    pool = torch.full((500, 2, 3, 2 * TILE), torch.nan, dtype=torch.bfloat16)[:, 1]
    assert_same_bits(copied(states, pool, noise), rounded(states, torch.bfloat16, noise))


def test_a_kernel_widens_every_bfloat16_exactly():
    every = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16).view(-1, 2, TILE)
    assert_same_bits(copied(every, torch.full(every.shape, torch.nan)), every.float())


def test_rounding_by_chance_is_right_on_average(generator):
    # Not too near to a bfloat16, so that the mean of so many is normally distributed.
    noises, upper = 20_000, torch.randn(64, generator=generator).bfloat16().float()
    lower = torch.randint(0x1000, 0xF000, (64,), generator=generator, dtype=torch.int32)
    values = (upper.view(torch.int32) + lower).view(torch.float32)
    drawn = rounded(values.expand(noises, 1, 64), torch.bfloat16, noise_of(generator, noises)).double()[:, 0]
    error = (drawn.mean(dim=0) - values.double()).abs()
    assert (error <= 5 * drawn.std(dim=0) / noises**0.5).all()


def test_entries_and_rows_are_rounded_by_chances_of_their_own(generator):
    # A number in the middle between two bfloat16: up in one half of the cases.
    middle = torch.full((2000, 2, 32), 1 + 2**-8)
    up = rounded(middle, torch.bfloat16, noise_of(generator, 2000)) > 1
    related = torch.corrcoef(up.flatten(1).float().mT) - torch.eye(64)
    assert related.abs().max() < 6 / 2000**0.5
    related = torch.corrcoef(up.flatten(1)[:64].float()) - torch.eye(64)
    assert related.abs().max() < 6 / 64**0.5


def test_small_updates_of_10000_steps_are_lost_to_the_nearest_but_not_to_chance(draw_inputs, generator):
    rule, agents = RULES["gated_delta"], 8
    seeds, slots = noise_of(generator, agents), torch.arange(agents)
    k, v = draw_inputs(rule, agents, H=1, K=4, V=4)[1], torch.ones(agents, 1, 4)
    kept, rate = torch.zeros(agents, 1), torch.full((agents, 1), 5e-4)
    token = k, k, v, kept, rate
    exact = rule.scan([x[:, None].expand(-1, 10_000, *x.shape[1:]) for x in token])[1]
    near, chance = torch.zeros(2, agents, 1, 16, dtype=torch.bfloat16)

    def live() -> None:
        for step in range(10_000):
            rule.step(near, token, slots, slots, check=False)
            rule.step(chance, token, slots, slots, noise_B=counter.bits(seeds, step), check=False)

    with ThreadPoolExecutor(1, initializer=use_one_core) as alone:
        alone.submit(live).result()
    reads = (rule.step(pool, (k, k, v, kept, 0 * rate), slots, slots) for pool in (exact, near, chance))
    recalled, lost, followed = (y.mean() for y in reads)
    assert recalled > 0.99
    assert lost < 0.5
    assert (followed - recalled).abs() < 0.02
