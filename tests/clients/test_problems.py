"""The problems that ship, solved on a real server by students that nobody trained: what holds whoever they are."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_client.coordinators import Asking, BestOf, Map, Particles, Pool, Tree, Vote
from plures_client.errors import InvalidArgument
from plures_client.problems import Branches, Exploration, Function, GoalSearch, Minimise, Portfolio, Regions, World
from plures_client.problems.functions import NAMES
from plures_client.problems.regions import CENTRE, DOORS, is_connected
from plures_server.tasks import TASKS
from plures_server.tasks.branches import chances

MAZE = Regions(3, 3, seed=1)


@settings(max_examples=15)
@given(st.integers(1, 4), st.integers(2, 4), st.floats(0, 0.4), st.integers(0, 2**32))
def test_every_region_of_a_maze_can_be_reached_in_one_way(rows, columns, walls, seed):
    maze = Regions(rows, columns, walls, seed)

    assert sum(map(len, maze.doors.values())) == 2 * (maze.count - 1)
    assert 1 <= maze.distance() < maze.count
    for region in range(maze.count):
        assert is_connected(~maze.blocked[region])
        assert not maze.blocked[region].ravel()[[CENTRE, *DOORS.values()]].any()
    region, cell = maze.goal
    assert region != 0
    assert not maze.blocked[region].ravel()[cell]


def test_what_the_server_is_given_of_a_maze_it_takes():
    for region in range(MAZE.count):
        TASKS["maze"].check(torch.tensor([MAZE.parameters(region, CENTRE, 40)]))


@pytest.mark.parametrize("strategy", [Map(), BestOf(8)], ids=["map", "best-of"])
def test_a_goal_is_found_where_it_is(crowds, strategy):
    found = crowds["walker"].solve(strategy, GoalSearch(MAZE, steps=600, seed=3))

    assert found.is_right
    assert (found.region, found.cell) == MAZE.goal


def test_too_short_a_search_finds_nothing_and_says_so(crowds):
    found = crowds["walker"].solve(Vote(3), GoalSearch(MAZE, steps=1))

    assert found.region is None
    assert not found.is_right


def test_copies_that_have_no_map_ask_others_behind_each_door(crowds):
    found = crowds["walker"].solve(Tree(), Exploration(MAZE, steps=300, visits=24, seed=4))

    assert found.is_right
    assert found.way[0] == 0
    assert len(found.way) == MAZE.distance() + 1
    assert all(there in MAZE.doors[here] for here, there in pairwise(found.way))
    assert found.steps == found.visits * 300


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("by", "rotated"), [("simplex", False), ("simplex", True), ("leaps", True)])
def test_the_place_that_is_found_is_as_good_as_the_server_says(crowds, name, by, rotated):
    function = Function(name, dimension=4, instance=3, rotated=rotated)
    problem = Minimise(function, starts=100, steps=60, seed=1, by=by)
    best = crowds["optimiser" if by == "simplex" else "leaper"].solve(Map(), problem)

    assert best.is_right
    assert best.starts == 100
    assert 0 <= best.value < function(np.zeros(4))


@pytest.mark.parametrize(("who", "by"), [("optimiser", "simplex"), ("leaper", "leaps")])
def test_more_rounds_come_nearer(crowds, who, by):
    problem = Minimise(Function("sphere", 5), starts=40, steps=80, seed=1, by=by)
    once, often, pooled = (
        crowds[who].solve(strategy, problem) for strategy in (Map(), Particles(rounds=5), Pool(rounds=5))
    )

    assert max(often.value, pooled.value) < once.value
    assert once.is_right
    assert often.is_right
    assert pooled.is_right


@given(st.sampled_from(NAMES), st.integers(2, 20), st.integers(0, 2**24), st.booleans())
def test_a_function_is_least_where_it_says(name, dimension, instance, rotated):
    function = Function(name, dimension, instance, rotated)

    assert function(function.least_place) == pytest.approx(0, abs=1e-12)
    assert np.abs(function.least_place).max() <= 4
    assert function(function.least_place + 0.1) > 0


@pytest.mark.parametrize("strategy", [Particles(rounds=4), Pool(rounds=4)], ids=["particles", "pool"])
def test_sources_drift_as_the_client_foresees(crowds, strategy):
    problem = Portfolio(World(sources=20, drift=0.05, seed=9), copies=60, steps=40, rounds=4, seed=1)
    earned = crowds["gambler"].solve(strategy, problem)

    assert earned.is_right
    assert earned.told == pytest.approx(earned.checked, abs=1e-4)
    assert 0 < earned.quality < 1


def test_particles_gather_at_sources_that_pay(crowds):
    """Copies that nobody trained choose at random: what is gained is gained by who is kept."""
    world = World(sources=100, drift=0.005, seed=2)

    def worth(share):
        problem = Portfolio(world, copies=100, steps=60, rounds=6, seed=1)
        return crowds["gambler"].solve(Particles(rounds=6, share=share), problem).worth

    assert worth(0.3) > 1.2 * worth(1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Regions(1, 1),
        lambda: Regions(walls=0.9),
        lambda: GoalSearch(MAZE, steps=0),
        lambda: Exploration(MAZE, steps=10, visits=0),
        lambda: Exploration(MAZE, steps=10, episode=0),
        lambda: Function("parabola"),
        lambda: Function(dimension=21),
        lambda: Function(instance=-1),
        lambda: Minimise(Function(), starts=0, steps=5),
        lambda: Minimise(Function(), starts=1, steps=5, by="parabola"),  # type: ignore[arg-type]
        lambda: World(sources=1),
        lambda: World(drift=2),
        lambda: Portfolio(World(), copies=1, steps=0, rounds=1),
    ],
)
def test_problems_that_are_none_are_refused(make):
    with pytest.raises(InvalidArgument, match=r"\d|parabola"):
        make()


def test_a_portfolio_cannot_outlast_its_world(crowds):
    problem = Portfolio(World(), copies=10, steps=5, rounds=2)
    with pytest.raises(InvalidArgument, match="round 3 asked for"):
        crowds["gambler"].solve(Particles(rounds=3), problem)


def test_agents_ask_agents_down_to_the_leaves(crowds):
    problem = Branches(levels=6, visits=8, steps=120, seed=3)
    leaf = crowds["gambler"].solve(Asking(), problem)

    assert leaf.is_right
    assert leaf.leaves == 64
    assert leaf.asked >= 8 * 5, "each that begins leads down to a leaf"
    assert leaf.quality > 0.6


def test_leaves_pay_as_the_client_foresees():
    problem = Branches(levels=5, visits=1, steps=1, seed=9)
    leaves = torch.arange(32, 64)

    np.testing.assert_allclose(chances(torch.full((32,), 9), leaves).numpy(), problem.chances(), atol=1e-6)


@pytest.mark.parametrize("wrong", [{"levels": 17}, {"levels": 0}, {"visits": 0}, {"steps": 0}, {"seed": -1}])
def test_a_tree_that_is_none_is_refused(wrong):
    with pytest.raises(InvalidArgument, match="levels"):
        Branches(**({"levels": 3, "visits": 1, "steps": 9} | wrong))
