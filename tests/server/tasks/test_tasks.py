"""Every task does what its plain twin does, whoever steps beside; and says which parameters make none."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_kernels.errors import InvalidArgument
from plures_server.tasks import TASKS
from plures_server.tasks.functions import NAMES
from torch import Tensor

from . import twins

ROOM = ["." * 9] * 4 + ["....S...."] + ["." * 9] * 3 + [".......G."]
WINDING = [
    "S#...#...",
    ".#.#.#.#.",
    ".#.#.#.#.",
    ".#.#.#.#.",
    ".#.#.#.#.",
    ".#.#.#.#.",
    ".#.#.#.#.",
    ".#.#.#.#G",
    "...#...#.",
]
NO_GOAL = ["S........"] + ["." * 9] * 8
MAZES = [(ROOM, 20), (WINDING, 200), (NO_GOAL, 7), (ROOM, 1)]


def play(name: str, parameters: Tensor, actions_TB: Tensor, seed_B: Tensor, cuts: tuple[int, ...] = ()) -> Any:
    """All copies, stepped in the parts that `cuts` makes: observations, rewards, ends [T, B]; the summary."""
    count, steps = len(parameters), len(actions_TB)
    episode = TASKS[name].begin(parameters.float(), seed_B, torch.full((count,), steps))
    parts = [slice(a, b) for a, b in zip((0, *cuts), (*cuts, count), strict=True)]
    seen = []
    for tick, actions_B in enumerate(actions_TB):
        before_B = torch.cat([episode.observation(rows) for rows in parts])
        reward_B = torch.cat([episode.step(rows, actions_B[rows], tick) for rows in parts])
        seen.append((before_B.clone(), reward_B, torch.cat([episode.ended(rows) for rows in parts])))
    observation_TB, reward_TB, ended_TB = (torch.stack(column) for column in zip(*seen, strict=True))
    return observation_TB, reward_TB, ended_TB, episode.summary()


def parameters_of(name: str, count: int, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    if name == "maze":
        made = [twins.Maze(*MAZES[i % len(MAZES)]).parameters for i in range(count)]
        return torch.tensor(made).float()
    if name == "minimise":
        wholes = np.stack([np.arange(count) % 4, 2 + np.arange(count) % 19, rng.integers(50, size=count)], axis=1)
        rotated = rng.integers(2, size=(count, 1))
        return torch.tensor(np.hstack([wholes, rotated, rng.uniform(-5, 5, (count, 20))])).float()
    if name == "simplex":
        searches = parameters_of("minimise", count, seed)
        return torch.cat([searches[:, :4], torch.full((count, 1), 2.0), searches[:, 4:]], dim=1)
    chances, sources = rng.random((count, 2)), rng.integers(9, size=(count, 2))
    if name == "branches":
        levels = 1 + np.arange(count) % 5
        return torch.tensor(np.stack([rng.integers(99, size=count), rng.integers(1, 99, count), levels], axis=1))
    if name == "bandit":
        return torch.tensor(chances).float()
    return torch.tensor(np.hstack([chances, sources, rng.integers(100, size=(count, 2)), rng.random((count, 1)) / 5]))


def actions_of(name: str, steps: int, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    n = int(TASKS[name].action_space.n)  # type: ignore[attr-defined]
    return torch.randint(n, (steps, count), generator=generator, dtype=torch.int32)


@pytest.mark.parametrize("name", sorted(TASKS))
@settings(max_examples=5)
@given(cuts=st.sets(st.integers(1, 12)), order=st.permutations(range(13)), seed=st.integers(0, 2**32))
def test_a_copy_lives_the_same_bits_in_any_company(name: str, cuts: set[int], order: list[int], seed: int) -> None:
    parameters, actions_TB = parameters_of(name, 13, seed), actions_of(name, 12, 13, seed)
    seed_B = torch.arange(13) * 2**40 + seed
    whole = play(name, parameters, actions_TB, seed_B)
    parts = play(name, parameters[order], actions_TB[:, order], seed_B[order], tuple(sorted(cuts)))
    for one, other in zip(whole[:3], parts[:3], strict=True):
        assert torch.equal(one[:, order], other)
    assert torch.equal(whole[3][order], parts[3])


@pytest.mark.parametrize(("drawing", "episode"), MAZES)
def test_a_maze_is_walked_as_drawn(drawing: list[str], episode: int) -> None:
    count, steps = 6, 240
    actions_TB = actions_of("maze", steps, count, seed=episode)
    walkers = [twins.Maze(drawing, episode) for _ in range(count)]
    parameters = torch.tensor([walker.parameters for walker in walkers])
    TASKS["maze"].check(parameters.float())
    observation_TB, reward_TB, ended_TB, summary = play("maze", parameters, actions_TB, torch.arange(count))
    for b, walker in enumerate(walkers):
        for tick in range(steps):
            assert observation_TB[tick, b] == walker.observation
            assert (reward_TB[tick, b], ended_TB[tick, b]) == walker.step(int(actions_TB[tick, b]))
        assert summary[b].tolist() == walker.summary()


def test_a_maze_without_walls_is_the_dark_room_of_the_teachers() -> None:
    steps, goal = 100, 8 * 9 + 7
    room, actions_TB = twins.dark_room(goal), actions_of("maze", steps, 1, seed=0)
    parameters = torch.tensor([[0] * 9 + [40, goal, 20]])
    observation_TB, reward_TB, ended_TB, _ = play("maze", parameters, actions_TB, torch.zeros(1, dtype=torch.int64))
    for tick in range(steps):
        assert observation_TB[tick, 0] == room.observation_B[0]
        reward_B, done_B = room.step(actions_TB[tick].numpy())
        assert (reward_TB[tick, 0], ended_TB[tick, 0]) == (reward_B[0], done_B[0])


def test_a_restless_bandit_drifts_as_its_twin() -> None:
    count, steps = 8, 60
    parameters = parameters_of("restless-bandit", count, seed=3)
    TASKS["restless-bandit"].check(parameters.float())
    actions_TB, seed_B = actions_of("restless-bandit", steps, count, seed=4), torch.arange(count) - 3
    _, reward_TB, _, summary = play("restless-bandit", parameters, actions_TB, seed_B)
    for b in range(count):
        twin = twins.Restless(parameters[b].tolist(), int(seed_B[b]), steps)
        assert [twin.step(int(a)) for a in actions_TB[:, b]] == reward_TB[:, b].tolist()
        np.testing.assert_array_equal(summary[b, :8], twin.counts.ravel())
        np.testing.assert_allclose(summary[b, 8:], twin.sums, rtol=1e-4)


def test_copies_that_watch_the_same_source_see_the_same_drift() -> None:
    """From another time on, too, once they are told where it stands then."""
    whole = torch.tensor([[0.3, 0.6, 5, 6, 1, 0, 0.1]])
    nobody = torch.zeros(1, dtype=torch.int64)
    episode = TASKS["restless-bandit"].begin(whole, nobody, nobody + 30)
    chances = []
    for tick in range(30):
        chances.append(episode._chance_BA[0].clone())  # type: ignore[attr-defined]
        episode.step(slice(0, 1), nobody, tick)
    later = torch.cat([chances[20].flip(0), torch.tensor([6.0, 5, 1, 20, 0.1])])[None]
    episode = TASKS["restless-bandit"].begin(later, nobody + 9, nobody + 10)
    for tick in range(10):
        assert torch.equal(episode._chance_BA[0].flip(0), chances[20 + tick])  # type: ignore[attr-defined]
        episode.step(slice(0, 1), nobody, tick)


def test_steps_of_a_drift_have_the_size_that_is_asked_for() -> None:
    count = 4000
    row = torch.tensor([[0.5, 0.5, 0, 0, 0, 0, 0.02]]).repeat(count, 1)
    row[:, 2], row[:, 3] = torch.arange(count), torch.arange(count) + count
    nobody = torch.zeros(count, dtype=torch.int64)
    episode = TASKS["restless-bandit"].begin(row, nobody, nobody + 1)
    episode.step(slice(0, count), nobody, 0)
    moved = episode._chance_BA - 0.5  # type: ignore[attr-defined]
    assert abs(float(moved.mean())) < 5 * 0.02 / (2 * count) ** 0.5
    assert abs(float(moved.std()) / 0.02 - 1) < 0.05


@pytest.mark.parametrize("rotated", [0, 1])
@pytest.mark.parametrize("function", NAMES)
@pytest.mark.parametrize("dimension", [2, 5, 20])
def test_functions_are_those_of_the_textbook(function: str, dimension: int, rotated: int) -> None:
    x = np.random.default_rng(dimension).uniform(-5, 5, 20)
    parameters = torch.tensor([[NAMES.index(function), dimension, 7, rotated, *x]]).float()
    nobody = torch.zeros(1, dtype=torch.int64)
    found = TASKS["minimise"].begin(parameters, nobody, nobody + 1).summary()[0, 0]
    turned = twins.rotation(7, dimension) if rotated else np.eye(dimension)
    away = x.astype(np.float32)[:dimension] - twins.least_place(7)[:dimension]
    np.testing.assert_allclose(found, twins.value(function, turned @ away), rtol=3e-4)


@pytest.mark.parametrize("function", range(4))
def test_a_search_never_gets_worse_and_tells_the_place_it_found(function: int) -> None:
    count, steps = 40, 300
    rng = np.random.default_rng(0)
    head = np.tile([function, 5, 3, 1], (count, 1))
    parameters = torch.tensor(np.hstack([head, rng.uniform(-5, 5, (count, 20))])).float()
    actions_TB, seed_B = actions_of("minimise", steps, count, seed=1), torch.arange(count)
    before = TASKS["minimise"].begin(parameters, seed_B, seed_B).summary()
    _, reward_TB, _, after = play("minimise", parameters, actions_TB, seed_B)
    assert (after[:, 0] < 0.5 * before[:, 0]).float().mean() > 0.5
    assert (after[:, 0] <= before[:, 0]).all()
    assert (reward_TB.sum(0) <= after[:, 1]).all(), "only gains are paid"
    assert (reward_TB.sum(0) > 0).all()
    again = torch.cat([parameters[:, :4], after[:, 2:].clamp(-5, 5)], dim=1)
    inside = (after[:, 2:].abs() <= 5).all(1)
    assert torch.equal(TASKS["minimise"].begin(again, seed_B, seed_B).summary()[inside, 0], after[inside, 0])


def test_the_least_value_is_nothing() -> None:
    place = torch.tensor(twins.least_place(5)).float()
    for function in range(4):
        parameters = torch.cat([torch.tensor([function, 20.0, 5, 1]), place])[None]
        nobody = torch.zeros(1, dtype=torch.int64)
        found = TASKS["minimise"].begin(parameters, nobody, nobody).summary()
        assert found[0, 0] < 1e-5


GOOD = {name: parameters_of(name, 4, seed=0).float() for name in TASKS}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_good_parameters_are_taken(name: str) -> None:
    TASKS[name].check(GOOD[name])


@pytest.mark.parametrize(
    ("name", "column", "value", "complaint"),
    [
        ("maze", 0, 512, "walls_0 512.0 of row 2 is not a whole number from 0 to 511"),
        ("maze", 3, 0.5, "walls_3 0.5 of row 2"),
        ("maze", 9, 81, "start 81.0 of row 2"),
        ("maze", 10, -2, "goal -2.0 of row 2"),
        ("maze", 11, 0, "episode 0.0 of row 2"),
        ("maze", 11, float("nan"), "episode nan of row 2"),
        ("maze", 0, 511, "start 0 of row 2 is within a wall"),
        ("branches", 1, 0, "node 0.0 of row 2"),
        ("branches", 2, 17, "levels 17.0 of row 2"),
        ("branches", 1, 65_000, "levels 3.0 of row 2 .* too deep"),
        ("restless-bandit", 1, 1.5, "p_1 1.5 of row 2 is not between 0 and 1"),
        ("restless-bandit", 2, 0.5, "source_0 0.5 of row 2 is not a whole number"),
        ("restless-bandit", 5, -1, "time -1.0 of row 2"),
        ("restless-bandit", 6, float("nan"), "drift nan of row 2"),
        ("minimise", 0, 4, "function 4.0 of row 2 is not a whole number from 0 to 3"),
        ("minimise", 1, 21, "dimension 21.0 of row 2"),
        ("minimise", 3, 0.5, "rotated 0.5 of row 2"),
        ("minimise", 23, 5.5, "x_19 5.5 of row 2 is not a number from -5 to 5"),
        ("minimise", 9, float("inf"), "x_5 inf of row 2"),
        ("simplex", 4, 0, "size 0.0 of row 2 is not a number from 1e-06 to 10"),
    ],
)
def test_parameters_that_make_no_task_are_named(name: str, column: int, value: float, complaint: str) -> None:
    parameters = GOOD[name].clone()
    parameters[2, column] = value
    with pytest.raises(InvalidArgument, match=complaint):
        TASKS[name].check(parameters)


def test_copies_ask_about_the_halves_that_they_prefer() -> None:
    """Those who are not sure ask about both; those at the lowest level about none."""
    rows = torch.tensor([[1.0, 1, 4], [1, 5, 3], [1, 9, 1], [1, 2, 2]])
    steps = 12
    episode: Any = TASKS["branches"].begin(rows, torch.arange(4), torch.full((4,), steps))
    for tick in range(steps):
        episode.step(slice(0, 4), torch.tensor([0, 1, 1, tick % 2], dtype=torch.int32), tick)
    asks = episode.asks()
    assert asks.row_C.tolist() == [0, 1, 3, 3]
    assert asks.parameters_CP.tolist() == [[1, 2, 3], [1, 11, 2], [1, 4, 1], [1, 5, 1]]
    assert asks.steps_C.tolist() == [steps] * 4
    TASKS["branches"].check(asks.parameters_CP)
