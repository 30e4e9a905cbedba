"""Every strategy against a real server process: who works on what, and what the problem is given."""

from itertools import pairwise

import numpy as np
import pytest
from plures_client import Items
from plures_client.aio.cohort import AsyncCohort
from plures_client.coordinators import BestOf, Children, Map, MapReduce, Particles, Pool, Tree, Vote, workshop
from plures_client.coordinators.vote import majority
from plures_client.errors import InvalidArgument


class Coins:
    """Bandits whose two arms pay alike: how much is won depends on seeds alone."""

    def __init__(self, items=30, steps=20, chance=0.5):
        self.count, self.steps, self.chance = items, steps, chance

    def split(self):
        return Items.of("bandit", np.full((self.count, 2), self.chance), steps=self.steps, seed=5)

    def score(self, results):
        return results.column("rewards_0") + results.column("rewards_1")

    def combine(self, results):
        return self.score(results)


@pytest.fixture
def submitted(monkeypatch):
    """The items of every submission to a queue."""
    made = []
    original = workshop.Workshop.submit

    async def submit(self, items):
        made.append(items)
        return await original(self, items)

    monkeypatch.setattr(workshop.Workshop, "submit", submit)
    return made


@pytest.mark.parametrize("strategy", [Particles(rounds=2), Pool(rounds=2)])
def test_generations_are_of_those_who_are_alive(cohort, strategy):
    cohort.retire(range(0, 100, 3))
    assert cohort.alive().tolist() == [n for n in range(100) if n % 3]
    assert len(cohort.solve(strategy, Path(items=66))) == 66


def test_the_best_attempt_at_each_item_counts(cohort):
    once = cohort.solve(Map(), Coins())
    same = cohort.solve(BestOf(1), Coins())
    best = cohort.solve(BestOf(16), Coins())

    np.testing.assert_array_equal(once, same)
    assert (best >= once).all()
    assert best.mean() > once.mean() + 2


def test_attempts_may_be_made_one_after_another(cohort, submitted):
    np.testing.assert_array_equal(cohort.solve(BestOf(6, at_once=4), Coins()), cohort.solve(BestOf(6), Coins()))
    assert [len(items) for items in submitted] == [120, 60, 180]


def test_what_is_good_enough_is_not_tried_again(cohort, submitted):
    won = cohort.solve(BestOf(40, at_once=4, enough=12), Coins())

    assert (won >= 12).all()
    sizes = [len(items) for items in submitted]
    assert sizes[0] == 120
    assert len(sizes) < 10
    assert sizes == sorted(sizes, reverse=True)


class Ballot(Coins):
    """Choose 1 if more than half of the steps were won; then see what was chosen."""

    def choice(self, results):
        return (self.score(results) > self.steps / 2).astype(int)

    def combine(self, results):
        return self.choice(results)


def test_what_most_choose_counts(cohort):
    likely = {"items": 60, "steps": 15, "chance": 0.6}
    alone, many = (cohort.solve(Vote(n), Ballot(**likely)).mean() for n in (1, 25))

    assert 0.5 < alone < 0.97
    assert many > 0.97


@pytest.mark.parametrize(
    ("choices", "first"), [([[0, 1, 1]], [1]), ([[2, 1, 0]], [0]), ([[3, 4, 4, 3], [5] * 4], [0, 0])]
)
def test_between_choices_with_as_many_votes_the_first_counts(choices, first):
    assert majority(np.array(choices)).tolist() == first


class Counting(Coins):
    """Wins of many portions, added up."""

    def portions(self):
        items = self.split()
        yield from (items.rows(slice(first, first + 7)) for first in range(0, self.count, 7))

    def combine(self, results):
        return float(self.score(results).sum()), [len(results)]

    def reduce(self, one, other):
        return one[0] + other[0], one[1] + other[1]


@pytest.mark.parametrize("ahead", [1, 2, 9])
def test_portions_are_put_together(cohort, ahead):
    won, sizes = cohort.solve(MapReduce(ahead=ahead), Counting(items=60))

    assert sizes == [7] * 8 + [4]
    assert won == cohort.solve(Map(), Coins(items=60)).sum()


def test_a_problem_without_portions_is_refused(cohort):
    with pytest.raises(InvalidArgument, match="no portions"):
        cohort.solve(MapReduce(), Counting(items=0))


class Search(Coins):
    """Each node that wins at least half asks two more; the answer is the tree."""

    def __init__(self, levels, **how):
        super().__init__(**how)
        self.levels = levels

    def grow(self, level):
        asking = np.flatnonzero(self.score(level.results) >= self.steps / 2)
        if level.depth == self.levels:
            return None
        items = level.items.rows(asking).again(2, first=1)
        return Children(items, np.repeat(asking, 2))

    def combine(self, levels):
        return levels


def test_items_ask_items_by_what_they_found(cohort):
    levels = cohort.solve(Tree(), Search(levels=3, items=20))

    assert [level.depth for level in levels] == [0, 1, 2, 3]
    assert (levels[0].parent == -1).all()
    for above, below in pairwise(levels):
        won = above.results.column("rewards_0") + above.results.column("rewards_1")
        assert below.parent.tolist() == np.repeat(np.flatnonzero(won >= 10), 2).tolist()
        assert len(below.results) == len(below.items) == len(below.parent)


def test_a_tree_that_nobody_asks_of_is_its_roots(cohort):
    [roots] = cohort.solve(Tree(depth=0), Search(levels=0, items=3))

    assert len(roots.items) == 3


@pytest.mark.parametrize(("budget", "complaint"), [({"depth": 1}, "beyond 1 levels"), ({"most": 25}, "at most 25")])
def test_a_tree_that_grows_too_much_is_stopped(cohort, budget, complaint):
    with pytest.raises(InvalidArgument, match=complaint):
        cohort.solve(Tree(**budget), Search(levels=9, items=20))


class Path(Coins):
    """Rounds of the same bandit; where an item comes from stays written in its first arm's chance."""

    def split(self):
        self.rounds = []
        items = super().split()
        items.parameters[:, 0] = np.arange(self.count) / self.count
        return items

    def score(self, results):
        return results.column("rewards_0")

    def go_on(self, items, results, number):
        self.rounds.append((items.parameters[:, 0], self.score(results)))
        return items

    def combine(self, results):
        return results


def test_of_particles_that_do_well_more_are_made(client, cohort):
    before = {each.name for each in client.cohorts.list()}
    problem = Path(items=100, steps=40)
    cohort.solve(Particles(rounds=5, share=0.3), problem)

    chances = [chance for chance, _ in problem.rounds]
    means = [chance.mean() for chance in chances]
    assert all(len(chance) == 100 for chance in chances)
    assert means[-1] > means[0] + 0.1
    assert len(np.unique(chances[-1])) < len(np.unique(chances[0])) < 100
    assert {each.name for each in client.cohorts.list()} == before
    assert cohort.describe().max_step == 0, "the cohort itself is left as it is"


def test_nobody_is_retired_when_all_go_on(cohort):
    problem = Path(items=50)
    cohort.solve(Particles(rounds=2, share=1.0), problem)

    np.testing.assert_array_equal(problem.rounds[0][0], np.arange(50, dtype=np.float32) / 50)


def test_copies_take_with_them_what_they_learned(client, cohort, monkeypatch):
    """In their second round they are as old as two rounds make them, whoever they descend from."""
    ages, original = [], AsyncCohort.fork

    async def fork(self, *args, **options):
        made = await original(self, *args, **options)
        ages.append((await made.describe()).min_step)
        return made

    monkeypatch.setattr(AsyncCohort, "fork", fork)
    cohort.solve(Particles(rounds=3), Path(items=20, steps=7))

    assert ages == [0, 7, 14]


def test_a_pool_goes_on_with_what_all_have_learned(client, cohort, monkeypatch):
    merges, original = [], AsyncCohort.merge

    async def merge(self, *args, **options):
        merges.append(options["weights"])
        return await original(self, *args, **options)

    monkeypatch.setattr(AsyncCohort, "merge", merge)
    before = {each.name for each in client.cohorts.list()}
    results = cohort.solve(Pool(rounds=3), Path(items=10, steps=5))

    assert len(results) == 10
    assert merges == [pytest.approx([0.1] * 10)] * 2
    assert {each.name for each in client.cohorts.list()} == before


def test_a_pool_may_trust_those_more_who_did_better(cohort):
    problem = Path(items=10, steps=5)
    assert len(cohort.solve(Pool(rounds=2, share=0.4), problem)) == 10


@pytest.mark.parametrize("strategy", [Particles(), Pool()])
def test_more_items_than_copies_are_refused(cohort, strategy):
    with pytest.raises(InvalidArgument, match="101 items for 100 copies"):
        cohort.solve(strategy, Path(items=101))


class Silent(Path):
    def score(self, results):
        return np.zeros(3)


@pytest.mark.parametrize("strategy", [BestOf(2), Particles(), Pool()])
def test_a_problem_that_does_not_score_every_item_is_told(cohort, strategy):
    with pytest.raises(InvalidArgument, match=r"score has shape \(3,\)"):
        cohort.solve(strategy, Silent(items=5, steps=1))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: BestOf(0), "n 0 given"),
        (lambda: BestOf(3, at_once=-1), "at_once -1 given"),
        (lambda: Vote(0), "n 0 given"),
        (lambda: MapReduce(ahead=0), "ahead 0 given"),
        (lambda: Tree(depth=-1), "depth -1 given"),
        (lambda: Tree(most=0), "most 0 given"),
        (lambda: Particles(rounds=0), "rounds 0 given"),
        (lambda: Particles(share=0.0), "share of 0.0 given"),
        (lambda: Particles(most=0), "most 0 given"),
        (lambda: Pool(rounds=0), "rounds 0 given"),
        (lambda: Pool(share=float("nan")), "share nan given"),
    ],
)
def test_settings_that_make_no_strategy_are_named(make, complaint):
    with pytest.raises(InvalidArgument, match=complaint):
        make()
