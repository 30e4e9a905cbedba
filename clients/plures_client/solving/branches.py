"""Ways to find the best leaf of a tree by asking about halves of its halves."""

from typing import Any

import numpy as np

from ..coordinators import Asking
from ..problems import Branches, Leaf
from .plan import Budget, Plan

TASK = "branches"
UNIT = "chance of the chosen leaf, as a share of the best one's"
SWEPT = "asking"
SETTINGS = {"levels": 4, "visits": 8}


def quality(answer: Leaf) -> float:
    return answer.quality


def regret(mean: float) -> float:
    return 1 - mean


def is_right(answer: Leaf) -> bool:
    return answer.is_right


def chance(budget: Budget, settings: Any) -> float:
    """What a leaf pays that is drawn."""
    chances = Branches(levels=settings["levels"], visits=1, steps=1, seed=budget.seed).chances()
    return float(np.mean(chances) / np.max(chances))


def _plan(budget: Budget, settings: Any, visits: int, **who: Any) -> Plan:
    """Who is unsure asks about both halves: at worst every node of the tree is visited by all."""
    most = visits * (2 ** settings["levels"] - 1)
    problem = Branches(levels=settings["levels"], visits=visits, steps=budget.shared(most), seed=budget.seed)
    return Plan(Asking(**who), problem, budget.shared(most) * most)


def one(budget: Budget, settings: Any) -> Plan:
    """One copy, which stays long at each node."""
    return _plan(budget, settings, 1, ordinals=0)


def alone(budget: Budget, settings: Any) -> Plan:
    """One copy makes all the visits that several would."""
    return _plan(budget, settings, settings["visits"], ordinals=0)


def asking(budget: Budget, settings: Any) -> Plan:
    """Several copies begin, and ask others to go on."""
    return _plan(budget, settings, settings["visits"], ordinals=range(budget.copies))


WAYS = {"one": one, "alone": alone, "asking": asking}
