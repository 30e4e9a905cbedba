"""Lives of scipy's Nelder–Mead method: it runs as it is, and what it does is read off the places it looks at.

V vertices, one more than D coordinates.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from plures_kernels.errors import InvalidArgument

from ..lives import Lives, LivesCard
from .learner import Real
from .simplex import ACTIONS, SHRINK, SIGHTS, WAITING, Simplex

FEWEST, MOST = 2, 20
"""Coordinates."""
EDGE = 5.0
BLURRED = 1e-9
"""Closer to each other than this share of how far out they are, places cannot be told apart."""

Value = Callable[[Real], float]
Deeds = list[tuple[int, int, float]]
"""(what was seen, what was done, what it paid), step by step."""


def watch(value: Value, vertices_VD: Real, steps: int) -> Deeds:
    """At most `steps` steps of scipy's search from these vertices; fewer where they have all but run together.

    Raise InvalidArgument when it looks at a place that none of the method's steps leads to, or when scipy is not here.
    """
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise InvalidArgument("scipy is not installed; pip install 'plures[optimisers]'") from error

    looked: list[tuple[Real, float]] = []

    def looking(place_D: Real) -> float:
        looked.append((place_D.copy(), value(place_D)))
        return looked[-1][1]

    options = {"initial_simplex": vertices_VD, "maxfev": steps + 1, "adaptive": True, "xatol": 0.0, "fatol": 0.0}
    minimize(looking, vertices_VD[0], method="Nelder-Mead", options=options)
    return _read(looked, Simplex(vertices_VD, looked[0][1]))


def _read(looked: list[tuple[Real, float]], simplex: Simplex) -> Deeds:
    deeds: Deeds = []
    for place_D, value in looked[1:]:
        sight, action = simplex.sight, SHRINK
        if sight != WAITING:
            away_A = np.array([np.abs(simplex.place(action) - place_D).max() for action in range(ACTIONS.n)])
            blur = BLURRED * np.abs(place_D).max()
            if np.count_nonzero(away_A <= blur) > 1:
                break
            action = int(away_A.argmin())
            if away_A[action] > blur:
                raise InvalidArgument(f"a search looks at {place_D}, where no step of Nelder and Mead's method leads")
        deeds.append((sight, action, simplex.take(action, value)))
    return deeds


def record_nelder_mead(lives: int, steps: int, seed: int) -> Lives:
    """`lives` searches of at most `steps` steps each, on functions and from places drawn at random."""
    if lives < 1 or steps <= MOST:
        raise InvalidArgument(f"{lives} lives of {steps} steps asked for; one has more than {MOST}")
    rng = np.random.default_rng(seed)
    lived = [watch(*_problem(rng), steps) for _ in range(lives)]
    lengths = np.array([len(deeds) for deeds in lived])
    column: Any = np.array([deed for deeds in lived for deed in deeds]).T
    return Lives(
        card=LivesCard(
            SIGHTS, ACTIONS, "scipy's Nelder–Mead", f"recorded by Plures: {lives} searches, seed {seed}", "CC0-1.0"
        ),
        life_L=np.arange(lives),
        offsets=np.concatenate([[0], lengths.cumsum()]),
        step_N=np.concatenate([np.arange(length) for length in lengths]),
        observation_N=column[0].astype(np.int32),
        action_N=column[1].astype(np.int32),
        reward_N=column[2].astype(np.float32),
        done_N=np.zeros(len(column[0]), np.bool_),
        extra={},
    )


def _problem(rng: np.random.Generator) -> tuple[Value, Real]:
    """A bowl, long by up to 10³ times as it is wide, turned, with ripples or without; and where to begin."""
    dimension = int(rng.integers(FEWEST, MOST + 1))
    weight_D = 10 ** (rng.uniform(0, 6) * np.linspace(0, 1, dimension))
    turn_DD, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
    middle_D, ripple = rng.uniform(-4, 4, dimension), float(rng.choice([0.0, 10.0]))

    def value(place_D: Real) -> float:
        z_D = turn_DD @ (place_D - middle_D)
        return float((weight_D * z_D**2 + ripple * (1 - np.cos(2 * np.pi * z_D))).sum())

    edge_D = rng.choice([-1, 1], dimension) * 10 ** rng.uniform(-1, 0.5)
    start_D = rng.uniform(-EDGE, EDGE, dimension)
    return value, np.vstack([start_D, start_D + np.diag(edge_D)])
