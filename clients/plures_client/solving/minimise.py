"""Ways to minimise a function."""

from typing import Any

from ..coordinators import Map, Particles, Pool
from ..problems import Function, Minimise, Minimum
from .plan import Budget, Plan

TASK = "simplex"
UNIT = "orders of magnitude below 1"
SWEPT = "apart"
SETTINGS = {"function": "sphere", "dimension": 5, "rotated": 1, "rounds": 8, "by": "simplex"}


def quality(answer: Minimum) -> float:
    return answer.orders


def regret(mean: float) -> float:
    """The geometric mean of the values."""
    return float(10**-mean)


def is_right(answer: Minimum) -> bool:
    return answer.is_right


def _problem(budget: Budget, settings: Any, starts: int, steps: int) -> Minimise:
    function = Function(settings["function"], settings["dimension"], budget.seed + 1, bool(settings["rotated"]))
    return Minimise(function, starts=starts, steps=steps, seed=budget.seed, by=settings["by"])


def one(budget: Budget, settings: Any) -> Plan:
    """One copy searches from one start for as long as all together would."""
    return Plan(Map(ordinals=0), _problem(budget, settings, 1, budget.total), budget.total)


def restarts(budget: Budget, settings: Any) -> Plan:
    """One copy, which begins anew from as many starts as there would be copies."""
    return Plan(Map(ordinals=0), _problem(budget, settings, budget.copies, budget.steps), budget.total)


def apart(budget: Budget, settings: Any) -> Plan:
    """Each copy from a start of its own; the best counts."""
    return Plan(
        Map(ordinals=range(budget.copies)), _problem(budget, settings, budget.copies, budget.steps), budget.total
    )


def particles(budget: Budget, settings: Any) -> Plan:
    """In rounds, between which the good are forked and the bad retired."""
    rounds = settings["rounds"]
    steps = budget.shared(budget.copies * rounds)
    strategy = Particles(rounds=rounds, share=0.5, seed=budget.seed)
    return Plan(strategy, _problem(budget, settings, budget.copies, steps), steps * budget.copies * rounds)


def pool(budget: Budget, settings: Any) -> Plan:
    """In rounds, between which all that was learned is merged."""
    rounds = settings["rounds"]
    steps = budget.shared(budget.copies * rounds)
    strategy = Pool(rounds=rounds, seed=budget.seed)
    return Plan(strategy, _problem(budget, settings, budget.copies, steps), steps * budget.copies * rounds)


WAYS = {"one": one, "restarts": restarts, "apart": apart, "particles": particles, "pool": pool}
