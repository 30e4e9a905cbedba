"""The classic baseline: its likelihood, its fit, and its place in the family."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_kernels import RULES
from plures_kernels.errors import InvalidArgument
from plures_students.classic import ClassicLearner, can_fit, fit_classic, why_not
from plures_students.lives import Lives, LivesCard

from .teachers import LEARNER, learn, played, probabilities


def test_log_probs_are_those_of_the_formula() -> None:
    lives = played(lives=3, episodes=1, trials=40, seed=1, observations=2)
    log_prob_NA = LEARNER.log_probs(lives)
    for place in range(3):
        q_OA, c_A = np.zeros((2, 2)), np.zeros(2)
        for i in range(*lives.rows(place).indices(lives.steps)):
            o, a = lives.observation_N[i], lives.action_N[i]
            np.testing.assert_allclose(np.exp(log_prob_NA[i]), probabilities(LEARNER, q_OA[o], c_A), rtol=1e-10)
            learn(LEARNER, q_OA, c_A, o, a, lives.reward_N[i])


def test_its_own_lives_give_its_parameters_back() -> None:
    fitted = fit_classic(played(lives=150, episodes=1, trials=300, seed=2))
    assert fitted.learning_rate == pytest.approx(LEARNER.learning_rate, abs=0.05)
    assert fitted.forgetting == pytest.approx(LEARNER.forgetting, abs=0.05)
    assert fitted.kernel_rate == pytest.approx(LEARNER.kernel_rate, abs=0.1)
    assert fitted.inverse_temperature == pytest.approx(LEARNER.inverse_temperature, rel=0.1)
    assert fitted.kernel_weight == pytest.approx(LEARNER.kernel_weight, rel=0.1)


@pytest.mark.parametrize("scale", [1e-3, 100.0, 1e4])
def test_in_what_unit_rewards_are_paid_does_not_matter_to_the_fit(scale: float) -> None:
    lives = played(lives=20, episodes=1, trials=100, seed=3)
    paid = Lives(**{**vars(lives), "reward_N": (lives.reward_N * scale).astype(np.float32)})
    fitted, other = fit_classic(lives), fit_classic(paid)
    assert other.inverse_temperature * scale == pytest.approx(fitted.inverse_temperature, rel=1e-3)
    for name in ("learning_rate", "forgetting", "kernel_rate", "kernel_weight"):
        assert getattr(other, name) == pytest.approx(getattr(fitted, name), rel=1e-3)


def test_no_learner_explains_the_training_lives_better_than_the_fitted_one() -> None:
    lives = played(lives=20, episodes=1, trials=100, seed=3)
    fitted = fit_classic(lives)

    def nll(learner: ClassicLearner) -> float:
        return -float(learner.log_probs(lives)[np.arange(lives.steps), lives.action_N].mean())

    best = nll(fitted)
    assert best <= nll(LEARNER)
    for name, value in fitted.to_json().items():
        for factor in (0.97, 1.03):
            moved = ClassicLearner(
                **{**fitted.to_json(), name: min(value * factor, 1.0) if value < 1 else value * factor}
            )
            assert best <= nll(moved) + 1e-6


@settings(deadline=None, max_examples=20)
@given(alpha=st.floats(0.05, 1), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_its_values_are_a_gated_delta_memory_with_one_hot_keys(alpha: float, share: float, seed: int) -> None:
    forgetting = share * alpha * 0.99
    rate = 1 - (1 - alpha) / (1 - forgetting)
    rng = np.random.default_rng(seed)
    action_T, reward_T = rng.integers(0, 3, 50), rng.random(50)
    q_A = np.zeros(3)
    for a, reward in zip(action_T, reward_T, strict=True):
        learned = q_A[a] + alpha * (reward - q_A[a])
        q_A *= 1 - forgetting
        q_A[a] = learned

    key_BTHK = torch.eye(3, dtype=torch.float64)[torch.from_numpy(action_T)][None, :, None]
    value_BTHV = torch.from_numpy(reward_T * alpha / rate)[None, :, None, None]
    log_decay_BTH = torch.full((1, 50, 1), np.log1p(-forgetting), dtype=torch.float64)
    beta_BTH = torch.full((1, 50, 1), rate, dtype=torch.float64)
    inputs = key_BTHK, key_BTHK, value_BTHV, log_decay_BTH, beta_BTH
    _, state_BHS = RULES["gated_delta"].scan(inputs, normalize=False)
    np.testing.assert_allclose(state_BHS.flatten().numpy(), q_A, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=10)
@given(rate=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_its_choice_kernel_is_a_delta_memory_with_one_constant_key(rate: float, seed: int) -> None:
    action_T = np.random.default_rng(seed).integers(0, 3, 50)
    c_A = np.zeros(3)
    for a in action_T:
        c_A += rate * (np.eye(3)[a] - c_A)

    value_BTHV = torch.eye(3, dtype=torch.float64)[torch.from_numpy(action_T)][None, :, None]
    one = torch.ones(1, 50, 1, dtype=torch.float64)
    inputs = one[..., None], one[..., None], value_BTHV, 0 * one, rate * one
    _, state_BHS = RULES["gated_delta"].scan(inputs, normalize=False)
    np.testing.assert_allclose(state_BHS.flatten().numpy(), c_A, rtol=1e-9, atol=1e-12)


def test_spaces_without_a_table_of_values_are_refused() -> None:
    lives = played(lives=1, episodes=1, trials=5, seed=4)
    boxed = Lives(**{**vars(lives), "card": LivesCard(Box(0, 1, (), np.float32), Discrete(2))})
    assert can_fit(lives)
    assert not can_fit(boxed)
    with pytest.raises(InvalidArgument, match="wants Discrete spaces"):
        fit_classic(boxed)


def test_a_table_as_large_as_of_tokens_is_left_out_and_it_is_said_why() -> None:
    lives = played(lives=1, episodes=1, trials=5, seed=4)
    spoken = Lives(**{**vars(lives), "card": LivesCard(Discrete(256), Discrete(256))})
    assert why_not(lives) is None
    assert not can_fit(spoken)
    assert "256 × 256 values at every step; up to 4,096" in str(why_not(spoken))
