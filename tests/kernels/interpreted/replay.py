"""Replay in Triton, by Triton's interpreter; see `steps.py` beside this file.

The backend is called as `Replay` would call it on a GPU.
"""

import pytest
import torch
from plures_kernels.replay import Base, Factors, naive, triton, triton_densify
from plures_kernels.replay.factors import Tokens

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
H, A, WINDOW = 2, 40, 6


def young(generator, B, V, K, per_channel, shared):
    """Slots with up to five factors, and where they begin."""
    factors = Factors.empty(A, WINDOW, H=H, K=K, V=V, G=K if per_channel else 1)
    for buffer in factors.tensors[:3]:
        buffer.copy_(torch.rand(buffer.shape, generator=generator))
    factors.count_A.copy_(torch.randint(WINDOW, (A,), generator=generator))
    slot_B = torch.randperm(A, generator=generator)[:B]
    if shared is None:
        return factors, slot_B, None
    M = 3 if shared else B
    index_B = torch.randint(M, (B,), generator=generator)
    return factors, slot_B, Base(torch.randn(M, H, V * K, generator=generator), index_B, shared)


def tokens_of(generator, factors, B):
    (_, H, _, K), V, G = factors.keys_AHLK.shape, factors.updates_AHLV.size(-1), factors.decays_AHLG.size(-1)
    q, k, v, gates, beta = (torch.rand(B, H, *x, generator=generator) for x in ((K,), (K,), (V,), (G,), ()))
    gates[::3] = 0.0
    return Tokens(q - 0.5, k - 0.5, v - 0.5, gates.log(), beta)


def doubled(factors, tokens, base):
    keys, updates, decays, count = factors.tensors
    twin = Factors(keys.double(), updates.double(), decays.double(), count.clone())
    return twin, Tokens(*(x.double() for x in tokens)), base and Base(base.states_MHS.double(), base.index_B)


@pytest.mark.parametrize(("V", "K"), [(16, 16), (7, 5), (96, 48)])
@pytest.mark.parametrize(("per_channel", "normalize"), [(False, True), (True, False)])
@pytest.mark.parametrize("shared", [True, False, None])
def test_a_step_agrees_with_the_float64_truth(generator, V, K, per_channel, shared, normalize):
    factors, slot_B, base = young(generator, 21, V, K, per_channel, shared)
    tokens = tokens_of(generator, factors, 21)
    slot_B[::5] = -1
    truth, tokens_true, base_true = doubled(factors, tokens, base)
    before = Factors(*(x.clone() for x in factors.tensors))
    y = triton.step(factors, slot_B, tokens, base, normalize)
    y_true = naive.step(truth, slot_B, tokens_true, base_true, normalize)
    torch.testing.assert_close(y.double(), y_true, **CLOSE)
    for ours, theirs, old in zip(factors.tensors[:3], truth.tensors[:3], before.tensors[:3], strict=True):
        torch.testing.assert_close(ours.double(), theirs, **CLOSE)
        for slot in slot_B[slot_B >= 0]:
            place = WINDOW - 1 - before.count_A[slot]
            ours[slot, :, place] = old[slot, :, place]
        torch.testing.assert_close(ours, old, rtol=0, atol=0)


@pytest.mark.parametrize(("V", "K"), [(16, 16), (7, 5), (96, 48)])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("shared", [True, False, None])
def test_densifying_agrees_with_the_float64_truth(generator, V, K, per_channel, shared):
    factors, slot_B, base = young(generator, 5, V, K, per_channel, shared)
    write_B = torch.tensor([3, -1, 0, 7, 5])
    pool_NHS, truth_NHS = torch.full((2, 8, H, V * K), torch.nan)
    truth, _, base_true = doubled(factors, tokens_of(generator, factors, 5), base)
    truth_NHS = truth_NHS.double()
    triton_densify.densify(factors, slot_B, pool_NHS, write_B, base, None)
    naive.densify(truth, slot_B, truth_NHS, write_B, base_true, None)
    torch.testing.assert_close(pool_NHS.double(), truth_NHS, equal_nan=True, **CLOSE)


@pytest.mark.parametrize("noisy", [True, False])
def test_a_page_of_bfloat16_is_rounded_as_the_definition(generator, noisy):
    factors, slot_B, base = young(generator, 4, 16, 16, False, True)
    noise_B = torch.randint(-(2**62), 2**62, (4,), generator=generator) if noisy else None
    pool_NHS, truth_NHS = torch.zeros(2, 4, H, 256, dtype=torch.bfloat16)
    triton_densify.densify(factors, slot_B, pool_NHS, torch.arange(4), base, noise_B)
    naive.densify(factors, slot_B, truth_NHS, torch.arange(4), base, noise_B)
    torch.testing.assert_close(pool_NHS, truth_NHS, rtol=2**-7, atol=1e-4)
    assert (pool_NHS == truth_NHS).float().mean() > 0.99


def test_a_full_window_is_not_overrun(generator):
    factors, slot_B, base = young(generator, 3, 16, 16, False, True)
    factors.count_A[slot_B[1]] = WINDOW
    before = [x.clone() for x in factors.tensors]
    y = triton.step(factors, slot_B, tokens_of(generator, factors, 3), base, True)
    assert y.isnan().all(dim=(1, 2)).tolist() == [False, True, False]
    untouched = [slot for slot in range(A) if slot not in (slot_B[0], slot_B[2])]
    for ours, old in zip(factors.tensors, before, strict=True):
        torch.testing.assert_close(ours[untouched], old[untouched], rtol=0, atol=0)
