"""Algorithms told from one another by their lives."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gymnasium.spaces import Box
from hypothesis import given
from hypothesis import strategies as st
from plures_kernels.errors import InvalidArgument
from plures_students.commands import recover as command
from plures_students.identify.algorithms import ALGORITHMS
from plures_students.identify.fitting import fit
from plures_students.identify.misfit import FEATURES, auc, misfit, p_value
from plures_students.identify.recovery import RecoverySettings, confusion, inversion, posterior, suspects
from plures_students.identify.recovery_report import correlation
from plures_students.identify.search import SearchSettings, search
from plures_students.identify.strangers import STRANGERS
from plures_students.teachers import Bandit, QLearner, foreseen, record

WORLD = Bandit(3, drift=0.05)
QUICK = SearchSettings(candidates=24, elites=5, rounds=5)


def lives_of(name, lives=8, steps=150, seed=0):
    algorithm = {**ALGORITHMS, **STRANGERS}[name]
    value = algorithm.from_unit(np.random.default_rng(seed).random((lives, len(algorithm.parameters))))
    return value, record(WORLD, algorithm.learner(value), lives, steps, seed)


def log_likelihood(learner, lives):
    chosen = np.take_along_axis(foreseen(learner, lives), lives.action_N[:, None].astype(int), axis=1)
    return np.add.reduceat(np.log(chosen[:, 0]), lives.offsets[:-1])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_likelihood_of_a_fit_is_that_of_the_learner_it_names(name):
    _, lives = lives_of(name, lives=4, steps=60)
    found = fit(ALGORITHMS[name], lives, settings=QUICK)
    learner = ALGORITHMS[name].learner(found.value_GP)
    np.testing.assert_allclose(found.log_likelihood_G, log_likelihood(learner, lives), rtol=1e-9)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_fit_is_at_least_about_as_likely_as_the_truth(name):
    value, lives = lives_of(name)
    truth = log_likelihood(ALGORITHMS[name].learner(value), lives)
    assert (fit(ALGORITHMS[name], lives).log_likelihood_G > truth - 0.5).all()


def test_lives_that_share_parameters_are_fitted_together():
    lives = record(WORLD, QLearner(0.4, explore="softmax", inverse_temperature=6.0), 12, 200, seed=3)
    found = fit(ALGORITHMS["q_softmax"], lives, np.repeat([0, 1], 6))
    apart = [fit(ALGORITHMS["q_softmax"], lives.select(places), np.zeros(6, int)) for places in ((0, 1, 2, 3, 4, 5),)]
    assert found.value_GP.shape == (2, 2)
    np.testing.assert_allclose(found.log_likelihood_G[0], apart[0].log_likelihood_G[0], atol=0.1)
    np.testing.assert_allclose(found.value_GP, [[0.4, 6.0]] * 2, rtol=0.3)


def test_lives_of_unlike_lengths_count_their_own_steps_alone():
    _, long = lives_of("q_softmax", lives=2, steps=90)
    keep = np.r_[0:40, 90:180]
    columns = ("step_N", "observation_N", "action_N", "reward_N", "done_N")
    cut = replace(
        long, offsets=np.array([0, 40, 130]), extra={}, **{name: getattr(long, name)[keep] for name in columns}
    )
    found = fit(ALGORITHMS["q_softmax"], cut, settings=QUICK)
    learner = ALGORITHMS["q_softmax"].learner(found.value_GP)
    np.testing.assert_allclose(found.log_likelihood_G, log_likelihood(learner, cut), rtol=1e-9)


def test_what_has_no_countable_observations_is_refused():
    _, lives = lives_of("q_softmax", lives=2, steps=10)
    unseen = replace(lives, card=replace(lives.card, observation_space=Box(0, 1, (2,))))
    with pytest.raises(InvalidArgument, match="Discrete spaces alone"):
        fit(ALGORITHMS["q_softmax"], unseen)


def test_a_search_finds_the_top_of_a_hill_but_for_few():
    top_GP = np.random.default_rng(1).random((300, 2))
    where_GP, _ = search(
        lambda x_CGP: -((x_CGP - top_GP) ** 2).sum(-1), 300, 2, SearchSettings(), np.random.default_rng(0)
    )
    missed_G = np.abs(where_GP - top_GP).max(axis=1)
    assert (missed_G < 0.06).mean() > 0.97
    assert np.median(missed_G) < 0.01


def test_teachers_are_taken_for_what_they_are():
    few = RecoverySettings(lives=6, steps=200)
    names = ("thompson", "win_stay_lose_shift")
    found = [suspects(name, ALGORITHMS[name], few, lambda: None) for name in names]
    places = [list(ALGORITHMS).index(name) for name in names]
    assert (confusion(found)[[0, 1], places] >= 5 / 6).all()
    mass_LF = found[0].mass_LF
    np.testing.assert_allclose(mass_LF.sum(axis=1), 1)
    assert np.array_equal(mass_LF.argmax(axis=1), found[0].taken_L)
    assert "thompson" not in found[0].without("thompson").fits


def test_of_parameters_that_were_all_found_alike_no_correlation_is_told():
    assert correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])) is None
    assert correlation(np.array([1.0, 2.0, 3.0]), np.array([6.0, 4.0, 2.0])) == pytest.approx(-1)


def test_inversion_is_bayes_rule_with_an_even_prior():
    np.testing.assert_allclose(
        inversion(np.array([[0.8, 0.2, 0.0], [0.2, 0.6, 0.2]])), [[0.8, 0.25, 0], [0.2, 0.75, 1]]
    )
    np.testing.assert_allclose(inversion(np.array([[1.0, 0.0]])), [[1, 0]])


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=5), st.floats(-100, 100))
def test_posterior_mass_knows_evidence_up_to_a_constant(evidence, shift):
    mass = posterior(np.array(evidence))
    assert mass.sum() == pytest.approx(1)
    np.testing.assert_allclose(posterior(np.array(evidence) + shift), mass, atol=1e-6)


def test_misfit_of_the_truth_is_chi_squared():
    value, lives = lives_of("q_softmax", lives=150, steps=200)
    statistic, degrees = misfit(lives, foreseen(ALGORITHMS["q_softmax"].learner(value), lives))
    assert degrees.max() <= FEATURES
    assert degrees.mean() == pytest.approx(FEATURES, abs=0.5)
    assert statistic.mean() == pytest.approx(degrees.mean(), rel=0.15)
    assert (p_value(statistic, degrees) < 0.1).mean() == pytest.approx(0.1, abs=0.07)


def test_what_features_repeat_of_each_other_is_not_counted_twice():
    """Of two arms, the next in turn is the other, and for how long the one was chosen, the other was not."""
    learner = QLearner(0.3, explore="softmax", inverse_temperature=3.0)
    lives = record(Bandit(2), learner, 60, 500, seed=1)
    statistic, degrees = misfit(lives, foreseen(learner, lives))
    assert degrees.max() <= FEATURES - 2
    assert degrees.mean() == pytest.approx(FEATURES - 2, abs=0.5)
    assert statistic.mean() == pytest.approx(degrees.mean(), rel=0.1)
    never_paid = replace(lives, reward_N=np.zeros_like(lives.reward_N))
    assert (misfit(never_paid, foreseen(learner, never_paid))[1] < 10).all()


def test_a_stranger_is_noticed():
    _, lives = lives_of("cycler")
    learner = ALGORITHMS["perseverator"].learner(fit(ALGORITHMS["perseverator"], lives, settings=QUICK).value_GP)
    statistic, degrees = misfit(lives, foreseen(learner, lives))
    assert (p_value(statistic, degrees) < 1e-3).all()


def test_p_values_are_those_of_the_table():
    np.testing.assert_allclose(p_value(np.array([3.841, 0.0]), 1), [0.05, 1.0], atol=1e-4)
    np.testing.assert_allclose(p_value(np.array([18.307]), 10), [0.05], atol=1e-4)


def test_the_area_under_the_curve_counts_pairs():
    assert auc(np.array([0.0, 1.0]), np.array([1.0, 2.0])) == pytest.approx(7 / 8)


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_the_area_under_the_curve_counts_equals_half(inside, outside):
    above = [(value > other) + (value == other) / 2 for value in outside for other in inside]
    assert auc(np.array(inside, float), np.array(outside, float)) == pytest.approx(np.mean(above))


def test_the_area_under_the_curve_of_many_lives_takes_no_table_of_all_pairs():
    """Of 200,000 by 200,000: 40 GB."""
    many = np.random.default_rng(0).random((2, 200_000))
    assert auc(many[0], many[1] + 0.5) == pytest.approx(7 / 8, abs=0.01)


def test_the_command_writes_what_it_found(tmp_path: Path, monkeypatch):
    few = {name: ALGORITHMS[name] for name in ("thompson", "win_stay_lose_shift")}
    for module in ("recovery", "recovery_report"):
        monkeypatch.setattr(f"plures_students.identify.{module}.ALGORITHMS", few)
    monkeypatch.setattr("plures_students.identify.recovery_report.STRANGERS", {"cycler": STRANGERS["cycler"]})
    said = CliRunner().invoke(command, ["--lives", "3", "--steps", "60", "--out", str(tmp_path)])
    assert said.exit_code == 0, said.output
    report = json.loads((tmp_path / "recovery.json").read_text())
    assert np.shape(report["confusion"]) == (2, 2)
    assert report["parameters"]["thompson"]["lapse"]["r"] <= 1
    assert report["outside"]["strangers"]["cycler"]["auc"] > 0.9
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("recovery.png", "parameters.png"))
