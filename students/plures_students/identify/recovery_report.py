"""What recovery found, as JSON: matrices, parameters, behaviour in another task, strangers noticed.

Shapes: L lives, P parameters, N rows, A actions.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from ..fidelity.horizon import chances, kl
from ..imitate.likelihood import mean_by_life
from ..teachers import Reversal, World, foreseen, record
from ..teachers.learner import Real
from .algorithms import ALGORITHMS
from .misfit import auc, misfit, p_value
from .recovery import RecoverySettings, Suspects, confusion, inversion, suspects
from .strangers import STRANGERS

ALARM = 0.05
OTHER_TASK = Reversal(arms=3)
_OTHER_STEPS = 240


def recover(settings: RecoverySettings, on_fit: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Simulate, fit and compare; all that docs/identify.md shows."""
    inside = [suspects(name, algorithm, settings, on_fit) for name, algorithm in ALGORITHMS.items()]
    outside = [suspects(name, algorithm, settings, on_fit) for name, algorithm in STRANGERS.items()]
    confusion_SF = confusion(inside)
    return {
        "settings": {**asdict(settings), "world": str(settings.world)},
        "algorithms": {name: len(algorithm.parameters) for name, algorithm in ALGORITHMS.items()},
        "confusion": confusion_SF.tolist(),
        "inversion": inversion(confusion_SF).tolist(),
        "mass": [one.mass_LF.mean(axis=0).tolist() for one in inside],
        "parameters": {one.name: _parameters(one) for one in inside},
        "other_task": {"world": str(OTHER_TASK), **{one.name: _counterfactual(one, OTHER_TASK) for one in inside}},
        "outside": _outside(inside, outside),
    }


def _parameters(one: Suspects) -> dict[str, Any]:
    """How well each parameter is found again, when the algorithm is known."""
    found_LP = one.fits[one.name].value_GP
    return {
        parameter.name: {
            "r": correlation(one.value_LP[:, i], found_LP[:, i]),
            "bias": float((found_LP[:, i] - one.value_LP[:, i]).mean()),
            "true": one.value_LP[:, i].round(4).tolist(),
            "found": found_LP[:, i].round(4).tolist(),
        }
        for i, parameter in enumerate(one.algorithm.parameters)
    }


def correlation(true_L: Real, found_L: Real) -> float | None:
    """Pearson's; None where one of them does not vary."""
    if min(np.ptp(true_L), np.ptp(found_L)) == 0:
        return None
    return float(np.corrcoef(true_L, found_L)[0, 1])


def _counterfactual(one: Suspects, world: World) -> dict[str, Any]:
    """Divergence in nats a choice from the teacher in a task that nothing was fitted to, of

    `taken`: whom each life was taken to be; `known`: the right algorithm with the parameters found; `another`: the
    right algorithm with the parameters of another of its teachers; `chance`: one that chooses at random.
    """
    lives = record(world, one.algorithm.learner(one.value_LP), len(one.lives), _OTHER_STEPS, seed=1)
    truth_NA, found_LP = chances(lives), one.fits[one.name].value_GP
    foretold = {
        "taken": one.chances(lives),
        "known": foreseen(one.algorithm.learner(found_LP), lives),
        "another": foreseen(one.algorithm.learner(np.roll(one.value_LP, 1, axis=0)), lives),
        "chance": np.full_like(truth_NA, 1 / truth_NA.shape[1]),
    }
    return {name: float(mean_by_life(lives, kl(truth_NA, chance_NA)).mean()) for name, chance_NA in foretold.items()}


def _outside(inside: list[Suspects], outside: list[Suspects]) -> dict[str, Any]:
    """How well misfit tells lives of strangers, and of each algorithm left out of the family, from the family's own."""
    own = {one.name: misfit(one.lives, one.chances(one.lives)) for one in inside}
    own_statistic, own_degrees = (np.concatenate(parts) for parts in zip(*own.values(), strict=True))
    strangers = {one.name: one for one in outside}
    left_out = {one.name: one.without(one.name) for one in inside}
    return {
        "degrees": float(own_degrees.mean()),
        "false_alarms": _alarms(own_statistic, own_degrees),
        "false_alarms_of": {name: _alarms(*found) for name, found in own.items()},
        "strangers": {name: _noticed(one, own_statistic) for name, one in strangers.items()},
        "left_out": {name: _noticed(one, own_statistic) for name, one in left_out.items()},
    }


def _noticed(one: Suspects, own_statistic: Real) -> dict[str, float]:
    statistic_L, degrees_L = misfit(one.lives, one.chances(one.lives))
    return {"auc": auc(own_statistic, statistic_L), "alarms": _alarms(statistic_L, degrees_L)}


def _alarms(statistic_L: Real, degrees_L: Real) -> float:
    return float((p_value(statistic_L, degrees_L) < ALARM).mean())
