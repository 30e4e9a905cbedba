"""The tournament for the best arm, played with simulated copies: what is true whatever the server does."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_client.coordinators import Results, Schedule
from plures_client.coordinators.problem import Outcome
from plures_client.coordinators.schedule import round_budget
from plures_client.errors import InvalidArgument
from plures_client.problems import BestArm
from plures_client.problems.duels import LONGEST, SHORTEST, Duels, draw_pairs, duels_a_pair, largest_field, spread
from plures_client.problems.evidence import Evidence

COLUMNS = ("pulls_0", "rewards_0", "late_pulls_0", "pulls_1", "rewards_1", "late_pulls_1")
HALF = Schedule()


def play(duels, explore=0.2):
    """What copies would make of the duels that mostly pull the arm which has paid better so far."""
    rng = np.random.default_rng(duels.items.seed[0])
    rows, steps = np.arange(len(duels.items)), duels.items.steps.astype(int)
    counts = {what: np.zeros((len(rows), 2)) for what in ("pulls", "rewards", "late_pulls")}
    for step in range(steps.max()):
        better = (counts["rewards"] + 1) / (counts["pulls"] + 2)
        choice = np.where(rng.random(len(rows)) < explore, rng.integers(2, size=len(rows)), better.argmax(1))
        going = step < steps
        counts["pulls"][rows, choice] += going
        counts["rewards"][rows, choice] += going & (rng.random(len(rows)) < duels.items.parameters[rows, choice])
        counts["late_pulls"][rows, choice] += going & (step >= steps // 2)
    summary = np.stack([counts[name[:-2]][:, int(name[-1])] for name in COLUMNS], axis=1).astype(np.float32)
    return Results(summary, COLUMNS, np.zeros(len(rows), np.uint32))


def solve(contest, copies, schedule=HALF):
    """What `Halving` does, without a server."""
    still_in, evidence, heats = contest.entrants(copies, schedule), None, []
    sizes = schedule.sizes(len(still_in))
    for number, left in enumerate(sizes[1:]):
        heats.append(contest.split(still_in, number, len(sizes) - 1, copies))
        evidence = contest.combine(evidence, heats[-1], play(heats[-1]))
        still_in = contest.rank(still_in, evidence)[:left]
    items = sum(len(heat.items) for heat in heats)
    steps = sum(heat.items.total_steps for heat in heats)
    outcome = Outcome(int(still_in[0]), sizes[0], copies, len(heats), items, steps, seconds=1.0)
    return contest.conclude(outcome), heats


@given(st.integers(1, 5000), st.floats(0.05, 0.95))
def test_every_round_drops_someone_until_one_is_left(entrants, share):
    sizes = Schedule(share).sizes(entrants)

    assert sizes[0] == entrants
    assert sizes[-1] == 1
    assert all(after < before for before, after in pairwise(sizes))
    assert Schedule(share).rounds(entrants) == len(sizes) - 1


@given(st.integers(2, 5000))
def test_halving_takes_log2_rounds(entrants):
    assert HALF.rounds(entrants) == (entrants - 1).bit_length()


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_keeps_none_or_all_is_refused(share):
    with pytest.raises(InvalidArgument):
        Schedule(share)


@given(st.integers(0, 10**9), st.integers(1, 30))
def test_rounds_share_the_budget_to_the_last_step(budget, rounds):
    parts = [round_budget(budget, number, rounds) for number in range(rounds)]

    assert sum(parts) == budget
    assert max(parts) - min(parts) <= 1


@given(st.integers(0, 10**6), st.integers(1, 500))
def test_items_share_a_budget_to_the_last_step(budget, parts):
    shares = spread(budget, parts)

    assert shares.sum() == budget
    assert shares.max() - shares.min() <= 1


@given(st.integers(2, 3000), st.integers(0, 10**6))
def test_the_field_is_the_largest_that_the_budget_gives_a_duel_in_every_round(arms, budget):
    def fits(size):
        sizes = HALF.sizes(size)
        least = min(round_budget(budget, n, len(sizes) - 1) for n in range(len(sizes) - 1))
        return all(least >= SHORTEST * -(-before // 2) for before in sizes[:-1])

    size = largest_field(arms, budget, HALF)

    assert size == 0 or (2 <= size <= arms and fits(size))
    assert size == arms or not fits(max(size, 1) + 1)


@given(st.integers(2, 400), st.integers(0, 2**32))
def test_everyone_meets_someone_else(arms, seed):
    field = np.arange(arms) * 3
    pairs = draw_pairs(field, np.random.default_rng(seed))

    assert len(pairs) == -(-arms // 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert set(pairs.ravel().tolist()) == set(field.tolist())


@given(st.integers(1, 300), st.integers(1, 10**6), st.data())
def test_duels_are_neither_too_short_nor_too_long(pairs, copies, data):
    budget = data.draw(st.integers(pairs * SHORTEST, pairs * SHORTEST * 10**5))
    times = duels_a_pair(budget, pairs, copies)

    assert budget // (times * pairs) >= SHORTEST
    assert -(-budget // (times * pairs)) <= LONGEST


def test_as_many_copies_work_at_once_as_there_are():
    assert duels_a_pair(budget=1000 * 64, pairs=10, copies=1000) == 100


@given(st.integers(2, 60), st.integers(1, 50), st.integers(16, 200), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_a_tournament_spends_its_budget_and_leaves_one_of_those_who_took_part(arms, copies, pulls, seed):
    rates = np.random.default_rng(seed).random(arms)
    answer, heats = solve(BestArm(rates, pulls=pulls, seed=seed), copies)

    assert answer.pulls == answer.budget == copies * pulls
    assert answer.duels == sum(len(heat.items) for heat in heats)
    assert answer.drawn == (answer.entrants < arms)
    assert answer.arm in set(heats[0].arms_D2.ravel().tolist())
    assert answer.rate == rates[answer.arm]
    assert 0 <= answer.quality <= 1
    assert 0 <= answer.rank <= 1
    assert all(heat.items.steps.min() >= SHORTEST and heat.items.steps.max() <= LONGEST + 1 for heat in heats)


@given(st.integers(2, 40), st.integers(1, 20), st.integers(16, 100), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_the_same_seed_gives_the_same_tournament(arms, copies, pulls, seed):
    rates = np.linspace(0.1, 0.9, arms)
    (first, heats), (second, again) = (solve(BestArm(rates, pulls=pulls, seed=seed), copies) for _ in range(2))

    assert first == second
    for one, other in zip(heats, again, strict=True):
        np.testing.assert_array_equal(one.arms_D2, other.arms_D2)
        np.testing.assert_array_equal(one.items.seed, other.items.seed)


def test_what_a_copy_is_shown_is_its_two_arms_and_nothing_else():
    rates = np.linspace(0.1, 0.9, 8)
    _, heats = solve(BestArm(rates, pulls=64, seed=1), copies=8)

    for heat in heats:
        np.testing.assert_array_equal(heat.items.parameters, rates[heat.arms_D2].astype(np.float32))
        assert heat.items.task == "bandit"


def test_no_side_is_preferred():
    duels = Duels.between(np.arange(2), np.array([0.2, 0.8]), 16 * 2000, 2000, np.random.default_rng(0))

    assert len(duels.items) == 2000
    assert abs(np.count_nonzero(duels.arms_D2[:, 0] == 0) - 1000) < 4 * np.sqrt(500)


@given(st.integers(2, 12), st.integers(1, 60), st.integers(0, 2**32))
def test_evidence_is_the_same_in_whatever_portions_it_comes(arms, duels, seed):
    rng = np.random.default_rng(seed)
    arms_D2 = np.stack([rng.permutation(arms)[:2] for _ in range(duels)])
    summary = rng.integers(0, 50, (duels, 6)).astype(np.float32)
    cut = rng.integers(duels + 1)

    def with_rows(evidence, rows):
        return evidence.with_duels(
            arms_D2[rows], Results(summary[rows], COLUMNS, np.zeros(len(summary[rows]), np.uint32))
        )

    whole = with_rows(Evidence.none(arms), slice(None))
    parts = with_rows(with_rows(Evidence.none(arms), slice(cut, None)), slice(cut))

    for name in ("pulls", "rewards", "late", "late_both"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    assert whole.pulls.sum() == summary[:, 0].sum() + summary[:, 3].sum()
    assert whole.late_both.sum() == 2 * whole.late.sum()


def test_the_better_arm_ranks_first_and_preference_decides_between_equals():
    evidence = Evidence(
        pulls=np.array([10.0, 10, 10, 0]),
        rewards=np.array([5.0, 8, 5, 0]),
        late=np.array([1.0, 3, 4, 0]),
        late_both=np.array([5.0, 5, 5, 0]),
    )

    assert evidence.rank(np.array([0, 1, 2])).tolist() == [1, 2, 0]


def test_an_arm_that_nobody_pulled_counts_as_an_average_one():
    evidence = Evidence(np.array([50.0, 50, 0]), np.array([10.0, 1, 0]), *np.zeros((2, 3)))

    assert evidence.rank(np.arange(3)).tolist() == [0, 2, 1]


def test_more_copies_find_better_arms():
    def mean_quality(copies):
        worlds = [np.random.default_rng(seed).random(64) for seed in range(40)]
        return np.mean([solve(BestArm(w, pulls=96, seed=s), copies)[0].quality for s, w in enumerate(worlds)])

    alone, many = mean_quality(1), mean_quality(200)

    assert alone < 0.9
    assert many > 0.98


def test_a_budget_too_small_for_all_draws_some_arms_and_says_so():
    answer, heats = solve(BestArm(np.linspace(0, 1, 1000), pulls=200, seed=5), copies=1)

    assert answer.drawn
    assert answer.entrants == len(np.unique(heats[0].arms_D2)) == largest_field(1000, 200, HALF)
    others, _ = solve(BestArm(np.linspace(0, 1, 1000), pulls=200, seed=6), copies=1)
    assert others.arm != answer.arm


def test_worlds_without_a_best_arm_have_only_good_choices():
    answer, _ = solve(BestArm([0.0, 0.0, 0.0], pulls=100), copies=2)

    assert (answer.quality, answer.rank) == (1.0, 1.0)


@pytest.mark.parametrize("rates", [[0.5], [], [[0.1, 0.2]], [0.1, 1.1], [-0.1, 0.5], [float("nan"), 0.5]])
def test_rates_that_are_none_are_refused(rates):
    with pytest.raises(InvalidArgument):
        BestArm(rates, pulls=100)


def test_too_few_pulls_for_a_single_duel_are_refused():
    with pytest.raises(InvalidArgument, match="1 × 15 pulls are too few"):
        BestArm([0.1, 0.9], pulls=15).entrants(1, HALF)
