"""What is said of how alike two sets of lives are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gymnasium.spaces import Box, Discrete
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_students.classic import ClassicLearner
from plures_students.classic_mind import Classic
from plures_students.commands import fidelity as command
from plures_students.fidelity import compare_lives, compare_within_bounds, draw_behaviour
from plures_students.fidelity.behaviour import LONGEST_RUN, observe, run_distance
from plures_students.fidelity.telling import FEWEST, beginnings, halves_told_apart, told_apart
from plures_students.lives import Lives, LivesCard, LivesError, join, write_lives
from plures_students.teachers import foreseen

from .teachers import LEARNER, played

STUBBORN = ClassicLearner(0.1, 0.1, 0.4, 0.0, 5.0)


def one_life(actions: list[int], rewards: list[int], ends: list[int]) -> Lives:
    lives = played(lives=1, episodes=1, trials=len(actions), seed=0)
    done_N = np.isin(np.arange(len(actions)), ends)
    columns = {"action_N": np.array(actions, np.int32), "reward_N": np.array(rewards, np.float32), "done_N": done_N}
    return replace(lives, extra={"best_action": np.zeros(len(actions), int)}, **columns)


def pooled(lives: Lives, name: str) -> list[float]:
    rates = observe(lives, bins=1).rates[name]
    return rates.pooled(np.ones((1, len(lives))))[0].tolist()


def test_staying_is_counted_within_episodes_and_by_the_reward_before() -> None:
    lives = one_life([0, 0, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0], ends=[3, 5])
    assert pooled(lives, "stay_by_reward") == [0.5, 0.5]
    assert pooled(lives, "switch_by_trial") == [0.5]
    assert pooled(lives, "reward") == [pytest.approx(2 / 6)]


def test_learning_is_counted_by_thirds_of_each_episode() -> None:
    lives = one_life([1, 1, 0, 1, 0, 0, 1, 0, 0], [0] * 9, ends=[5, 8])
    assert pooled(lives, "best_by_third") == [pytest.approx(0), pytest.approx(2 / 3), 1.0]


def test_runs_end_with_their_episode() -> None:
    run_K = observe(one_life([0, 0, 0, 1, 1, 1, 0], [0] * 7, ends=[4, 6]), bins=1).run_LK[0]
    assert {length: int(count) for length, count in enumerate(run_K, 1) if count} == {1: 2, 2: 1, 3: 1}


@settings(deadline=None, max_examples=30)
@given(first=st.lists(st.integers(1, 60), min_size=1), second=st.lists(st.integers(1, 60), min_size=1))
def test_run_distance_is_the_area_between_quantile_functions_of_log_length(first: list[int], second: list[int]) -> None:
    counts = [np.bincount(lengths, minlength=LONGEST_RUN + 1)[1:].astype(float)[None] for lengths in (first, second)]
    level = (np.arange(len(first) * len(second)) + 0.5) / (len(first) * len(second))
    quantile = [np.sort(np.log2(lengths))[(level * len(lengths)).astype(int)] for lengths in (first, second)]
    assert run_distance(*counts)[0] == pytest.approx(np.abs(quantile[0] - quantile[1]).mean(), abs=1e-9)


def test_lives_are_at_no_distance_from_themselves() -> None:
    lives = played(lives=8, episodes=3, trials=30, seed=1)
    report = compare_lives(lives, lives)
    assert report["run_length"]["distance"] == 0
    for measure in report["measures"].values():
        assert measure["distance"] == 0
        assert (np.array(measure["teacher"]["low"]) <= measure["teacher"]["mean"]).all()
        assert (np.array(measure["teacher"]["high"]) >= measure["teacher"]["mean"]).all()
        assert 0 < measure["halves"]["mean"] < measure["halves"]["p95"]


def test_the_same_learner_is_as_near_as_halves_are_and_another_is_not() -> None:
    teacher, same = (played(lives=24, episodes=4, trials=40, seed=seed) for seed in (2, 3))
    other = played(lives=24, episodes=4, trials=40, seed=4, learner=STUBBORN)
    near, far = compare_lives(teacher, same), compare_lives(teacher, other)
    for name in ("best_by_third", "stay_by_reward"):
        assert near["measures"][name]["distance"] < near["measures"][name]["halves"]["p95"]
        assert far["measures"][name]["distance"] > 1.5 * far["measures"][name]["halves"]["p95"]
    assert far["run_length"]["distance"] > 1.5 * far["run_length"]["halves"]["p95"]


def test_a_resampled_rate_has_the_spread_of_lives_not_of_steps() -> None:
    """Ten lives that always choose one arm: the interval is that of ten coin throws, however long the lives."""
    lives = played(lives=10, episodes=1, trials=500, seed=5)
    action_N = np.repeat(np.arange(10) % 2, 500).astype(np.int32)
    lives = replace(lives, action_N=action_N, extra={"best_action": np.zeros(5000, int)})
    best = compare_lives(lives, lives)["measures"]["best_by_third"]["teacher"]
    assert np.subtract(best["high"], best["low"]).tolist() == pytest.approx([0.6] * 3, abs=0.11)


def test_without_a_best_action_the_rest_is_measured(tmp_path: Path) -> None:
    lives = replace(played(lives=4, episodes=2, trials=20, seed=6), extra={})
    report = compare_lives(lives, lives)
    assert set(report["measures"]) == {"reward", "stay_by_reward", "switch_by_trial"}
    draw_behaviour(tmp_path / "picture.png", report)
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_is_json() -> None:
    lives = played(lives=4, episodes=2, trials=20, seed=6)
    assert json.loads(json.dumps(compare_lives(lives, lives), allow_nan=False))["lives"] == {"teacher": 4, "copies": 4}


def test_what_never_happened_is_null_in_the_report_of_the_command(tmp_path: Path) -> None:
    lives = played(lives=4, episodes=2, trials=20, seed=6)
    write_lives(tmp_path / "poor", replace(lives, reward_N=np.zeros_like(lives.reward_N)))
    arguments = [str(tmp_path / "poor"), str(tmp_path / "poor"), "--out", str(tmp_path / "out"), "--json"]
    said = CliRunner().invoke(command, arguments)
    assert said.exit_code == 0, said.output
    for text in (said.stdout, (tmp_path / "out" / "fidelity.json").read_text()):
        report = json.loads(text, parse_constant=pytest.fail)
        assert report["measures"]["stay_by_reward"]["teacher"]["mean"][1] is None


def test_where_copies_never_were_says_nothing_of_how_far_they_are() -> None:
    """Copies that are never paid stay as after no reward: their distance is that of what both can be asked."""
    lives = one_life([0, 1, 0, 1, 0, 1, 0, 1], [0, 1] * 4, ends=[7])
    teacher = join([lives, lives])
    poor = replace(teacher, reward_N=np.zeros_like(teacher.reward_N), action_N=np.zeros_like(teacher.action_N))
    assert compare_lives(teacher, poor)["measures"]["stay_by_reward"]["distance"] == pytest.approx(1)


def test_what_cannot_be_compared_is_refused() -> None:
    lives = played(lives=4, episodes=2, trials=20, seed=6)
    more = replace(lives, card=LivesCard(lives.card.observation_space, Discrete(3)))
    with pytest.raises(LivesError, match=r"copies choose from Discrete\(3\), their teacher from Discrete\(2\)"):
        compare_lives(lives, more)
    with pytest.raises(LivesError, match="one life"):
        compare_lives(lives.select([0]), lives)
    steered = replace(lives, card=LivesCard(lives.card.observation_space, Box(0, 1, (), np.float32)))
    with pytest.raises(LivesError, match="actions of the lives are Box"):
        compare_lives(lives, steered)


def test_lives_of_one_learner_cannot_be_told_apart_and_those_of_another_can_the_sooner_the_more_is_seen() -> None:
    teacher, same = (played(lives=24, episodes=4, trials=40, seed=seed) for seed in (2, 3))
    other = played(lives=24, episodes=4, trials=40, seed=4, learner=STUBBORN)
    near, far = told_apart(teacher, same), told_apart(teacher, other)
    assert [at["steps"] for at in near] == [20, 40, 80, 160]
    assert all(at["low"] <= 0.5 for at in near)
    assert far[-1]["mean"] > 0.95
    assert far[-1]["low"] > far[0]["mean"]


def test_halves_of_lives_are_told_apart_by_chance_alone() -> None:
    found = halves_told_apart(played(lives=24, episodes=2, trials=40, seed=5))
    assert all(abs(at["mean"] - 0.5) < 0.1 and at["mean"] < at["p95"] for at in found)


def test_the_area_under_the_curve_does_not_see_what_comes_after_its_horizon() -> None:
    teacher, other = (played(lives=12, episodes=2, trials=40, seed=seed) for seed in (6, 7))
    later = replace(other, action_N=np.where(np.arange(other.steps) % 80 < 40, other.action_N, 1).astype(np.int32))
    assert told_apart(teacher, later)[:2] == told_apart(teacher, other)[:2]
    assert told_apart(teacher, later)[-1] != told_apart(teacher, other)[-1]


def test_beginnings_are_the_first_steps_and_short_lives_as_they_are() -> None:
    lives = played(lives=3, episodes=1, trials=6, seed=8)
    assert beginnings(lives, 9).action_N.tolist() == lives.action_N.tolist()
    cut = beginnings(lives, 4)
    assert cut.action_N.tolist() == lives.action_N.reshape(3, 6)[:, :4].ravel().tolist()
    assert cut.offsets.tolist() == [0, 4, 8, 12]


def test_the_classic_learner_stands_beside_copies_where_it_can_be_given_their_tasks() -> None:
    teacher, copies = (played(lives=10, episodes=2, trials=40, seed=seed) for seed in (9, 10))
    report = compare_within_bounds(teacher, copies, each=2)
    # The teacher is a classic learner: the floor is as near as halves of it are.
    assert report["floor"]["distances"]["stay_by_reward"] < report["measures"]["stay_by_reward"]["halves"]["p95"]
    assert len(report["floor"]["told_apart"]) == len(report["told_apart"]["copies"])
    assert compare_within_bounds(replace(teacher, extra={}), copies, each=2)["floor"] is None


def test_few_lives_are_not_told_apart() -> None:
    lives = played(lives=FEWEST - 1, episodes=1, trials=20, seed=11)
    assert compare_within_bounds(replace(lives, extra={}), lives, each=1)["told_apart"] == {}


def test_the_classic_learner_set_free_acts_as_its_formula_says() -> None:
    lives = played(lives=4, episodes=3, trials=30, seed=12, observations=2)
    np.testing.assert_allclose(foreseen(Classic(LEARNER), lives), np.exp(LEARNER.log_probs(lives)), rtol=1e-9)
