"""The task `simplex` is Nelder and Mead's method, as scipy does it."""

import numpy as np
import pytest
import torch
from plures_server.tasks import TASKS
from plures_server.tasks.functions import NAMES
from plures_server.tasks.simplex import SimplexEpisode
from plures_students.teachers.nelder_mead import watch
from plures_students.teachers.simplex import ACTIONS, SHRINK, WAITING, Simplex

from . import twins

SEEDS = torch.arange(4) + 5
EDGE = 1.5


def begun(function: str, dimension: int, steps: int) -> tuple[SimplexEpisode, torch.Tensor]:
    place = np.random.default_rng(dimension).uniform(-5, 5, 20)
    row = torch.tensor([[NAMES.index(function), dimension, 7, 0, EDGE, *place]]).float()
    episode = TASKS["simplex"].begin(row.repeat(4, 1), SEEDS, torch.full((4,), steps))
    return episode, episode._vertices_BVD[:, : dimension + 1, :dimension]  # type: ignore[attr-defined, return-value]


def value_of(function: str, dimension: int):  # type: ignore[no-untyped-def]
    least = twins.least_place(7)[:dimension]
    return lambda place: float(twins.value(function, place - least))


@pytest.mark.parametrize("function", NAMES)
@pytest.mark.parametrize("dimension", [2, 5, 20])
def test_a_copy_that_does_what_scipy_did_sees_what_scipy_saw_and_finds_as_much(function: str, dimension: int) -> None:
    steps = 60 if dimension < 20 else 150
    episode, vertices_BVD = begun(function, dimension, steps)
    value = value_of(function, dimension)
    deeds = watch(value, vertices_BVD[0].double().numpy(), steps)
    for tick, (sight, action, pays) in enumerate(deeds):
        assert int(episode.observation(slice(0, 1))[0]) == sight
        reward_B = episode.step(slice(0, 4), torch.full((4,), action, dtype=torch.int32), tick)
        # In what order vertices that shrank get their values is not the method's.
        assert action == SHRINK or reward_B[0] == pays
    found = episode.summary()[0]
    np.testing.assert_allclose(found[0], value(found[3 : 3 + dimension].double().numpy()), rtol=1e-3, atol=1e-6)


def test_whatever_is_done_is_what_the_teachers_simplex_does() -> None:
    rng, steps, dimension = np.random.default_rng(0), 80, 3
    episode, vertices_BVD = begun("rastrigin", dimension, steps)
    value = value_of("rastrigin", dimension)
    simplices = [
        Simplex(vertices_VD.double().numpy(), value(vertices_VD[0].double().numpy())) for vertices_VD in vertices_BVD
    ]
    for tick in range(steps):
        action_B = rng.integers(ACTIONS.n, size=4)
        assert episode.observation(slice(0, 4)).tolist() == [simplex.sight for simplex in simplices]
        reward_B = episode.step(slice(0, 4), torch.from_numpy(action_B).int(), tick)
        for row, (simplex, action) in enumerate(zip(simplices, action_B.tolist(), strict=True)):
            waited = simplex.sight == WAITING
            pays = simplex.take(action, value(simplex.place(action)))
            assert waited or action == SHRINK or reward_B[row] == pays
    lowest = [simplex.lowest for simplex in simplices]
    np.testing.assert_allclose(episode.summary()[:, 0], lowest, rtol=1e-3)


def test_first_simplices_lie_on_sides_of_their_own() -> None:
    _, vertices_BVD = begun("sphere", 20, 1)
    away_B = vertices_BVD[:, 1:] - vertices_BVD[:, :1]
    sides_BD = away_B.diagonal(dim1=1, dim2=2)
    np.testing.assert_allclose(sides_BD.abs(), EDGE, rtol=1e-5)
    assert len({tuple(sides_D.sign().tolist()) for sides_D in sides_BD}) == 4


def test_the_size_is_how_far_apart_vertices_are() -> None:
    episode, _ = begun("sphere", 3, 9)
    assert episode.summary()[0, 2] == pytest.approx(EDGE, rel=1e-5)
