"""Teachers that are optimisers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plures_kernels.errors import InvalidArgument
from plures_students.teachers import LEARNERS, Adam, Bandit, Evolution, Sgd, Valley, foreseen, record
from plures_students.teachers.optimisers import normal, rounded
from plures_students.teachers.valley import LEVELS_V, nearest

OPTIMISERS = "adam", "evolution", "sgd"


def chances(lives):
    return np.stack([lives.extra[f"teacher_p_{a}"] for a in range(len(LEVELS_V))], axis=-1)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_record_says_what_the_optimiser_would_have_done(name):
    lives = record(Valley(ripple=0.1), LEARNERS[name](), lives=5, steps=40, seed=3)
    np.testing.assert_allclose(foreseen(LEARNERS[name](), lives), chances(lives), atol=1e-6)


@pytest.mark.parametrize("learner", [Sgd(0.1), Sgd(0.05, momentum=0.5), Adam(0.3, 0.5), Evolution()], ids=str)
def test_an_optimiser_goes_down(learner):
    height = record(Valley(), learner, lives=60, steps=200, seed=1).extra["height"].reshape(60, 200)
    assert np.median(height[:, -1]) < 0.02 * np.median(height[:, 0])


def test_gradient_descent_steps_against_the_slope_in_the_mean():
    mind = Sgd(0.1).begin(1, 33, 33)
    slope = np.array([nearest(np.array([2.0]))[0]])
    assert mind.probabilities(slope)[0] @ LEVELS_V == pytest.approx(-0.2)


def test_adam_begins_with_steps_of_its_rate_whatever_the_slope():
    for slope in (0.25, -4.0):
        chance = Adam(0.3).begin(1, 33, 33).probabilities(nearest(np.array([slope])))
        assert chance[0] @ LEVELS_V == pytest.approx(-0.3 * np.sign(slope), rel=1e-6)


def test_evolution_takes_back_what_did_not_pay():
    lives = record(Valley(), Evolution(), lives=20, steps=60, seed=0)
    action, reward = lives.action_N.reshape(20, 60), lives.reward_N.reshape(20, 60)
    for life in range(20):
        trying = True
        for t in range(59):
            failed = trying and reward[life, t] <= 0
            if failed:
                assert LEVELS_V[action[life, t + 1]] == -LEVELS_V[action[life, t]]
            trying = not failed


@given(st.floats(-20, 20))
def test_a_step_is_rounded_to_levels_about_it_with_itself_as_the_mean(step):
    chance = rounded(np.array([step]))[0]
    assert chance @ LEVELS_V == pytest.approx(np.clip(step, -8, 8))
    assert chance.sum() == pytest.approx(1)
    assert (chance > 0).sum() <= 2


@given(st.floats(1e-3, 5))
def test_normal_steps_are_even_about_zero(deviation):
    chance = normal(np.array([deviation]))[0]
    np.testing.assert_allclose(chance, chance[::-1], atol=1e-12)
    assert chance.sum() == pytest.approx(1)


def test_slopes_are_seen_in_powers_of_two():
    np.testing.assert_allclose(LEVELS_V[nearest(np.array([0.0, 3.1, -0.26, 1e9, 1e-7]))], [0, 4, -0.25, 8, 0])


def test_optimisers_live_in_valleys_alone():
    with pytest.raises(InvalidArgument, match="let them live in the world valley"):
        record(Bandit(2), Sgd(), 2, 5, 0)
    with pytest.raises(InvalidArgument, match="is none"):
        Valley(steepness=0.5)
