"""The cross-entropy method (Rubinstein 1999, Methodol. Comput. Appl. Probab. 1:127), for many problems side by side.

Shapes: G problems, C candidates, E elites, P parameters in [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..teachers.learner import Real


@dataclass(frozen=True)
class SearchSettings:
    """`candidates` a round; the next round is drawn about the best `elites` of them, `widening` times as wide.

    Without that, they close in before they are there. `narrowest` is the least width.
    """

    candidates: int = 32
    elites: int = 6
    rounds: int = 8
    narrowest: float = 0.004
    widening: float = 1.4


def search(
    value: Callable[[Real], Real], problems: int, parameters: int, settings: SearchSettings, rng: np.random.Generator
) -> tuple[Real, Real]:
    """Where in the unit cube `value` ([C, G, P] → [C, G]) is highest, [G, P], and how high, [G]."""
    shape = settings.candidates, problems, parameters
    unit_CGP = rng.random(shape)
    best_GP, best_G = unit_CGP[0], np.full(problems, -np.inf)
    for _ in range(settings.rounds):
        value_CG = value(unit_CGP)
        order_EG = np.argsort(-value_CG, axis=0)[: settings.elites]
        elite_EGP = np.take_along_axis(unit_CGP, order_EG[..., None], axis=0)
        top_G = value_CG[order_EG[0], np.arange(problems)]
        best_GP = np.where((top_G > best_G)[:, None], elite_EGP[0], best_GP)
        best_G = np.maximum(top_G, best_G)
        spread_GP = np.maximum(settings.widening * elite_EGP.std(axis=0), settings.narrowest)
        unit_CGP = (elite_EGP.mean(axis=0) + spread_GP * rng.standard_normal(shape)).clip(0, 1)
        unit_CGP[0] = best_GP
    return best_GP, best_G
