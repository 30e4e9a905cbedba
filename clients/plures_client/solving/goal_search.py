"""Ways to find the goal in a maze of which there is a map."""

from typing import Any

from ..coordinators import BestOf, Map
from ..problems import Found, GoalSearch, Regions
from ..problems.luck import luck
from .plan import Budget, Plan

TASK = "maze"
UNIT = "goals found"
SWEPT = "apart"
SETTINGS = {"rows": 4, "columns": 4, "walls": 0.15, "attempts": 4, "episode": 40}


def quality(answer: Found) -> float:
    return float(answer.region is not None)


def regret(mean: float) -> float:
    return 1 - mean


def is_right(answer: Found) -> bool:
    return answer.region is None or answer.is_right


def chance(budget: Budget, settings: Any) -> float:
    """What who walks at random finds."""
    maze = Regions(settings["rows"], settings["columns"], settings["walls"], budget.seed)
    return luck(maze, budget.shared(maze.count), settings["episode"])


def _plan(budget: Budget, settings: Any, attempts: int, **who: Any) -> Plan:
    maze = Regions(settings["rows"], settings["columns"], settings["walls"], budget.seed)
    steps = budget.shared(maze.count * attempts)
    problem = GoalSearch(maze, steps=steps, episode=settings["episode"], seed=budget.seed)
    strategy = BestOf(attempts, **who) if attempts > 1 else Map(**who)
    return Plan(strategy, problem, steps * maze.count * attempts)


def one(budget: Budget, settings: Any) -> Plan:
    """One copy searches region after region."""
    return _plan(budget, settings, 1, ordinals=0)


def apart(budget: Budget, settings: Any) -> Plan:
    """Every copy searches the whole maze by itself, in its share of the steps."""
    return _plan(budget, settings, budget.copies, ordinals=range(budget.copies))


def split(budget: Budget, settings: Any) -> Plan:
    """Each region is one copy's."""
    return _plan(budget, settings, 1, ordinals=range(budget.copies))


def best_of(budget: Budget, settings: Any) -> Plan:
    """Each region is searched by several copies, each for its share of the steps."""
    return _plan(budget, settings, settings["attempts"], ordinals=range(budget.copies))


WAYS = {"one": one, "apart": apart, "split": split, "best-of": best_of}
