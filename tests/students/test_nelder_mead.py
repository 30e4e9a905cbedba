"""Lives of scipy's Nelder–Mead method are read off what it looked at, and are all there is to it."""

from collections import defaultdict

import numpy as np
import pytest
from click.testing import CliRunner
from plures_kernels.errors import InvalidArgument
from plures_students.commands.lives import lives
from plures_students.lives import read_lives
from plures_students.teachers.nelder_mead import record_nelder_mead, watch
from plures_students.teachers.simplex import REFLECT, Simplex
from scipy.optimize import minimize, rosen

START = np.array([[-1.2, 1.1, 2.0], [-0.3, 1.2, 2.3], [-1.1, 2.0, 2.4], [-1.2, 0.9, 3.1]])


def test_a_simplex_that_does_the_same_ends_where_scipy_ends():
    steps = 120
    simplex = Simplex(START, rosen(START[0]))
    for sight, action, pays in watch(rosen, START, steps):
        assert simplex.sight == sight
        assert simplex.take(action, rosen(simplex.place(action))) == pays
    options = {"initial_simplex": START, "maxfev": steps + 1, "adaptive": True}
    assert simplex.lowest == pytest.approx(minimize(rosen, START[0], method="Nelder-Mead", options=options).fun)


def test_what_scipy_does_next_follows_from_what_it_did_and_saw():
    data = record_nelder_mead(lives=6, steps=120, seed=3)
    next_of = defaultdict(set)
    for first, last in zip(data.offsets[:-1], data.offsets[1:], strict=True):
        for row in range(first + 1, last):
            next_of[int(data.action_N[row - 1]), int(data.observation_N[row])].add(int(data.action_N[row]))
    assert all(len(actions) == 1 for actions in next_of.values())
    assert set(data.action_N.tolist()) == set(range(5))


def test_a_life_ends_where_places_run_together():
    deeds = watch(lambda place_D: float(((place_D - 1) ** 2).sum()), START, 3000)
    assert 50 < len(deeds) < 3000


def test_a_search_that_is_another_methods_is_refused(monkeypatch):
    shifted = Simplex.place
    monkeypatch.setattr(Simplex, "place", lambda self, action: shifted(self, action) + (action == REFLECT))
    with pytest.raises(InvalidArgument, match="no step of Nelder and Mead"):
        watch(rosen, START, 30)


def test_the_command_records_them(tmp_path):
    words = ["nelder-mead", "--lives", "2", "--steps", "40", "--out", str(tmp_path / "simplex")]
    done = CliRunner().invoke(lives, words)
    assert done.exit_code == 0, done.output
    assert len(read_lives(tmp_path / "simplex")) == 2
    assert "exists" in CliRunner().invoke(lives, words).output
