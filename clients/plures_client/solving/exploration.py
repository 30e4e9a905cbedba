"""Ways to find the goal in a maze without a map: regions lead to regions."""

from typing import Any

from ..coordinators import Tree
from ..problems import Exploration, Found, Regions
from .plan import Budget, Plan

TASK = "maze"
UNIT = "goals found"
SWEPT = "tree"
SETTINGS = {"rows": 3, "columns": 3, "walls": 0.15, "visits": 8}


def quality(answer: Found) -> float:
    return float(answer.region is not None)


def regret(mean: float) -> float:
    return 1 - mean


def is_right(answer: Found) -> bool:
    return answer.region is None or answer.is_right


def _plan(budget: Budget, settings: Any, visits: int, **who: Any) -> Plan:
    maze = Regions(settings["rows"], settings["columns"], settings["walls"], budget.seed)
    steps = budget.shared(maze.count * visits)
    return Plan(Tree(**who), Exploration(maze, steps=steps, visits=visits, seed=budget.seed), budget.total)


def one(budget: Budget, settings: Any) -> Plan:
    """One copy visits region after region, each once and for long."""
    return _plan(budget, settings, 1, ordinals=0)


def alone(budget: Budget, settings: Any) -> Plan:
    """One copy makes all the visits that several would."""
    return _plan(budget, settings, settings["visits"], ordinals=0)


def tree(budget: Budget, settings: Any) -> Plan:
    """Several copies visit each region, and ask others to go on behind the doors they found."""
    return _plan(budget, settings, settings["visits"], ordinals=range(budget.copies))


WAYS = {"one": one, "alone": alone, "tree": tree}
