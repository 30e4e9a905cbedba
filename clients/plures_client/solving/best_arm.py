"""Ways to find the best of many arms."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..coordinators import Halving
from ..problems import BestArm, BestArmAnswer
from .plan import Budget, Plan

TASK = "bandit"
UNIT = "rate of the chosen arm, as a share of the best one's"
SWEPT = "halving"
SETTINGS = {"arms": 256}


def quality(answer: BestArmAnswer) -> float:
    return answer.quality


def regret(mean: float) -> float:
    return 1 - mean


def is_right(answer: BestArmAnswer) -> bool:
    return answer.pulls <= answer.budget and 0 <= answer.arm < answer.arms


def chance(budget: Budget, settings: Any) -> float:
    """What an arm is worth that is drawn."""
    rates = _rates(budget, settings)
    return float(rates.mean() / rates.max())


def _rates(budget: Budget, settings: Any) -> NDArray[np.float64]:
    rates: NDArray[np.float64] = np.random.default_rng([budget.seed, 8]).beta(1, 4, settings["arms"])
    return rates


def _problem(budget: Budget, settings: Any, pulls: int) -> BestArm:
    return BestArm(_rates(budget, settings), pulls=pulls, seed=budget.seed)


def one(budget: Budget, settings: Any) -> Plan:
    """One copy plays all duels."""
    return Plan(Halving(ordinals=0), _problem(budget, settings, budget.total), budget.total)


def apart(budget: Budget, settings: Any) -> Plan:
    """Each copy holds a tournament of its own with its share of the pulls; this is what one of them finds."""
    return Plan(Halving(ordinals=0), _problem(budget, settings, budget.steps), budget.steps)


def halving(budget: Budget, settings: Any) -> Plan:
    """All copies in one tournament; what they see of an arm is pooled."""
    return Plan(Halving(ordinals=range(budget.copies)), _problem(budget, settings, budget.steps), budget.total)


WAYS = {"one": one, "apart": apart, "halving": halving}
