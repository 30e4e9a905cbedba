"""Teachers that are algorithms: what each is known to do, and that their records are what they did."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plures_kernels.errors import InvalidArgument
from plures_students.classic import ClassicLearner
from plures_students.lives import read_lives, write_lives
from plures_students.teachers import (
    LEARNERS,
    WORLDS,
    ActorCritic,
    Adam,
    Bandit,
    DarkRoom,
    Dqn,
    Evolution,
    GradientBandit,
    Perseverator,
    QLearner,
    Reversal,
    Sgd,
    Step,
    Thompson,
    Ucb1,
    WinStayLoseShift,
    foreseen,
    make,
    record,
)
from plures_students.teachers.learner import greedy

OPTIMISERS = "adam", "evolution", "sgd"
PLAYERS = [name for name in LEARNERS if name not in OPTIMISERS]
HERE = np.zeros(1, np.int64)
NOT_DONE = np.zeros(1, bool)


def taught(learner, outcomes, arms):
    """A mind that pulled arms, (arm, reward) each."""
    mind = learner.begin(1, 1, arms)
    for arm, reward in outcomes:
        mind.learn(Step(HERE, np.array([arm]), np.array([float(reward)]), NOT_DONE, HERE))
    return mind


def chances(lives, actions):
    return np.stack([lives.extra[f"teacher_p_{a}"] for a in range(actions)], axis=-1)


@pytest.mark.parametrize("name", PLAYERS)
@pytest.mark.parametrize("world", [Bandit(3), Bandit(2, drift=0.05), DarkRoom(3, episode=7)], ids=str)
def test_a_record_says_what_the_teacher_would_have_done(name, world):
    lives = record(world, LEARNERS[name](), lives=6, steps=40, seed=3)
    actions = world.action_space.n
    expected = chances(lives, actions)
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(foreseen(LEARNERS[name](), lives), expected, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in PLAYERS if name not in ("perseverator", "win_stay_lose_shift")])
def test_a_teacher_learns(name):
    lives = record(Bandit(3), LEARNERS[name](), lives=300, steps=200, seed=1)
    pay = np.stack([lives.extra[f"pay_{a}"] for a in range(3)], axis=-1).reshape(300, 200, 3)
    regret = (pay.max(axis=-1) - np.take_along_axis(pay, lives.action_N.reshape(300, 200, 1), 2)[..., 0]).mean(axis=0)
    assert regret[-50:].mean() < 0.6 * regret[:20].mean()


@pytest.mark.parametrize("learner", [QLearner(discount=0.9), ActorCritic()], ids=str)
def test_a_teacher_finds_a_goal_that_it_cannot_see(learner):
    lives = record(DarkRoom(5), learner, lives=60, steps=1500, seed=2)
    reward = lives.reward_N.reshape(60, 1500).mean(axis=0)
    assert reward[-300:].mean() > 2 * reward[:100].mean()


def test_a_deep_q_network_finds_a_goal_that_it_cannot_see():
    reward = record(DarkRoom(3, episode=8), Dqn(), lives=24, steps=400, seed=2).reward_N.reshape(24, 400).mean(axis=0)
    assert reward[-100:].mean() > 2 * reward[:50].mean()


def test_lives_end_up_as_data_like_any_other(tmp_path):
    lives = record(DarkRoom(4, episode=6), QLearner(), lives=3, steps=20, seed=0)
    write_lives(tmp_path, lives)
    again = read_lives(tmp_path)
    assert np.array_equal(again.action_N, lives.action_N)
    assert again.done_N.reshape(3, 20)[:, [5, 11, 17]].all()
    assert again.done_N.sum() == 9


def test_a_seed_is_a_record():
    first, again, other = (record(Bandit(4, drift=0.1), Thompson(), 5, 30, seed) for seed in (7, 7, 8))
    assert np.array_equal(first.action_N, again.action_N)
    assert not np.array_equal(first.action_N, other.action_N)


def test_ucb1_tries_each_arm_and_then_takes_the_highest_bound():
    np.testing.assert_allclose(taught(Ucb1(), [(1, 0)], 3).probabilities(HERE), [[0.5, 0, 0.5]])
    outcomes = [(0, 1), (1, 0), (0, 1), (1, 1), (0, 0)]
    bounds = 2 / 3 + np.sqrt(2 * np.log(5) / 3), 1 / 2 + np.sqrt(2 * np.log(5) / 2)
    assert taught(Ucb1(), outcomes, 2).probabilities(HERE).argmax() == np.argmax(bounds)


def test_thompson_chooses_an_arm_as_often_as_it_is_the_best_of_a_draw():
    outcomes = [(0, 1)] * 6 + [(0, 0)] * 2 + [(1, 1)] * 3 + [(2, 0)] * 4
    draws = np.random.default_rng(0).beta([7, 4, 1], [3, 1, 5], (400_000, 3)).argmax(axis=1)
    often = np.bincount(draws, minlength=3) / len(draws)
    np.testing.assert_allclose(taught(Thompson(), outcomes, 3).probabilities(HERE)[0], often, atol=0.004)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
def test_the_gradient_bandit_climbs_the_log_chance_of_what_paid_more_than_usual(outcomes):
    preferences, mean = np.zeros(3), 0.0
    for n, (arm, reward) in enumerate(outcomes, start=1):
        mean += (reward - mean) / n
        chance = np.exp(preferences) / np.exp(preferences).sum()
        preferences += 0.2 * (reward - mean) * (np.eye(3)[arm] - chance)
    expected = np.exp(preferences) / np.exp(preferences).sum()
    np.testing.assert_allclose(taught(GradientBandit(0.2), outcomes, 3).probabilities(HERE)[0], expected)


def test_a_soft_q_learner_in_a_bandit_is_the_classic_learner():
    learner = QLearner(learning_rate=0.3, forgetting=0.1, explore="softmax", inverse_temperature=4.0)
    lives = record(Bandit(2), learner, lives=5, steps=60, seed=4)
    classic = ClassicLearner(0.3, 0.1, 0.0, 4.0, 0.0)
    np.testing.assert_allclose(np.exp(classic.log_probs(lives)), foreseen(learner, lives), atol=1e-6)


def test_who_wins_stays_and_who_loses_shifts():
    mind = taught(WinStayLoseShift(lapse=0.3), [(1, 1)], 3)
    np.testing.assert_allclose(mind.probabilities(HERE), [[0.1, 0.8, 0.1]])
    np.testing.assert_allclose(taught(WinStayLoseShift(0.0), [(1, 1), (2, 0)], 3).probabilities(HERE), [[0.5, 0.5, 0]])


def test_a_perseverator_does_what_it_did_whatever_it_paid():
    paid, unpaid = (taught(Perseverator(0.5, 2.0), [(1, pay), (1, pay)], 2).probabilities(HERE) for pay in (1, 0))
    np.testing.assert_allclose(paid, unpaid)
    np.testing.assert_allclose(paid, [[1 / (1 + np.exp(1.5)), 1 / (1 + np.exp(-1.5))]])


@pytest.mark.parametrize("name", [name for name in PLAYERS if name not in ("dqn", "thompson")])
def test_minds_side_by_side_may_have_parameters_of_their_own(name):
    """Two lives with a parameter each are two lives of two learners."""
    settings = {"q_learner": {"explore": "softmax", "forgetting": 0.2}}.get(name, {})
    parameter = {"q_learner": "inverse_temperature"}.get(name) or fields(LEARNERS[name])[0].name
    both = record(Bandit(3), LEARNERS[name](**settings, **{parameter: np.array([0.1, 0.7])}), 2, 50, seed=5)
    for place, value in enumerate((0.1, 0.7)):
        alone = foreseen(LEARNERS[name](**settings, **{parameter: value}), both.select([place]))
        np.testing.assert_allclose(chances(both.select([place]), 3), alone, atol=1e-6)


def test_a_deep_q_network_is_a_function_of_its_seed_and_its_own_life():
    lives = record(DarkRoom(3, episode=7), Dqn(seed=3), 4, 60, seed=0)
    np.testing.assert_allclose(foreseen(Dqn(seed=3), lives.select([0, 1])), chances(lives.select([0, 1]), 5), atol=1e-5)
    assert np.abs(foreseen(Dqn(seed=4), lives) - chances(lives, 5)).max() > 0.5


def test_the_best_arm_changes_where_it_is_reversed():
    lives = record(Reversal(arms=3, better=1.0, period=10), QLearner(), 5, 40, seed=0)
    best = lives.extra["best_action"].reshape(5, 4, 10)
    assert (best == best[:, :, :1]).all()
    assert (np.diff(best[:, :, 0], axis=1) != 0).all()
    assert np.array_equal(lives.reward_N == 1, lives.action_N == lives.extra["best_action"])


def test_the_best_are_equals():
    np.testing.assert_allclose(greedy(np.array([[1.0, 2.0, 2.0], [0.0, -1.0, -1.0]])), [[0, 0.5, 0.5], [1, 0, 0]])


def test_walls_hold():
    places = DarkRoom(3, episode=99).begin(1, np.random.default_rng(0))
    for action, cell in [(1, 1), (1, 1), (3, 0), (3, 0), (2, 3), (4, 4), (4, 5), (4, 5), (2, 8), (0, 8)]:
        reward, _ = places.step(np.array([action]))
        assert places.observation_B[0] == cell
        assert reward[0] == (cell == places.goal_B[0])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Bandit(0),
        lambda: Bandit(2, drift=-1),
        lambda: DarkRoom(1),
        lambda: QLearner(explore="never"),
        lambda: Dqn(batch=0),
        lambda: Reversal(arms=1),
        lambda: record(Bandit(2), Ucb1(), 0, 5, 0),
        lambda: QLearner(epsilon=5),
        lambda: QLearner(learning_rate=np.nan),
        lambda: QLearner(forgetting=np.array([0.5, 1.5])),
        lambda: QLearner(explore="softmax", inverse_temperature=np.inf),
        lambda: ActorCritic(discount=-0.1),
        lambda: ActorCritic(actor_rate=np.nan),
        lambda: WinStayLoseShift(lapse=-0.1),
        lambda: Perseverator(kernel_rate=2),
        lambda: Ucb1(width=-1),
        lambda: GradientBandit(learning_rate=np.inf),
        lambda: Dqn(learning_rate=-1),
        lambda: Dqn(epsilon=1.5),
        lambda: Dqn(discount=np.nan),
        lambda: Sgd(learning_rate=np.nan),
        lambda: Adam(beta1=1.0),
        lambda: Evolution(deviation=-1),
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        wrong()


def test_settings_are_read_as_people_type_them():
    assert make(LEARNERS, "q_learner", {"epsilon": "0.2", "explore": "softmax"}) == QLearner(
        epsilon=0.2, explore="softmax"
    )
    with pytest.raises(InvalidArgument, match=r"bandit has no setting 'legs'; it has arms=5, drift=0.0"):
        make(WORLDS, "bandit", {"legs": "2"})
    with pytest.raises(InvalidArgument, match="arms 'two' of bandit is not of type int"):
        make(WORLDS, "bandit", {"arms": "two"})
    with pytest.raises(InvalidArgument, match="'maze' is not known; known: bandit, dark_room, reversal, valley"):
        make(WORLDS, "maze", {})
