"""How a student chooses: by softmax, and by its own logits, seed and step alone."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from plures_students.sampling import sample


@pytest.mark.parametrize("actions", [2, 3, 10])
@pytest.mark.parametrize("vary", ["seed", "step"])
def test_actions_are_drawn_from_the_softmax(actions: int, vary: str) -> None:
    torch.manual_seed(actions)
    logits_A, n = torch.randn(actions), 200_000
    along, fixed = torch.arange(n), torch.full((n,), 3)
    seed, step = (along, fixed) if vary == "seed" else (fixed, along)
    counts = torch.bincount(sample(logits_A.expand(n, actions), seed, step), minlength=actions)
    expected = n * logits_A.softmax(-1)
    chi2 = float(((counts - expected).square() / expected).sum())
    # Mean and standard deviation of χ² with A − 1 degrees of freedom.
    assert chi2 < (actions - 1) + 5 * math.sqrt(2 * (actions - 1))


@given(arrays("f4", (6, 5), elements=st.floats(-30, 30, width=32)), st.integers(0, 2**62), st.permutations(range(6)))
def test_a_draw_depends_on_its_own_row_alone(logits: object, seed: int, order: list[int]) -> None:
    logits_BA, seed_B, step_B = torch.as_tensor(logits), seed + torch.arange(6), torch.arange(6) * 7
    together = sample(logits_BA, seed_B, step_B)
    alone = torch.cat([sample(logits_BA[b : b + 1], seed_B[b : b + 1], int(step_B[b])) for b in range(6)])
    assert torch.equal(alone, together)
    assert torch.equal(sample(logits_BA[order], seed_B[order], step_B[order]), together[order])


def test_an_action_without_probability_is_never_drawn() -> None:
    logits_BA = torch.tensor([0.0, -math.inf, 0.0, -200.0]).expand(50_000, 4)
    drawn = sample(logits_BA, torch.arange(50_000), 0)
    assert set(drawn.tolist()) == {0, 2}
    assert drawn.dtype == torch.int32


def test_a_single_action_is_always_drawn() -> None:
    assert sample(torch.randn(100, 1), torch.arange(100), 5).eq(0).all()


@given(st.floats(-80, 80, width=32), st.integers(0, 2**62))
def test_the_draw_is_an_action(logit: float, seed: int) -> None:
    drawn = sample(torch.tensor([[logit, 0.0, -logit]]), torch.tensor([seed]), 1)
    assert drawn.item() in (0, 1, 2)
