"""Ways to keep up with sources that drift."""

from typing import Any

from ..coordinators import Particles, Pool
from ..problems import Earned, Portfolio, World
from .plan import Budget, Plan

TASK = "restless-bandit"
UNIT = "chance of what was chosen in the last round, as a share of the best source's"
SWEPT = "particles"
SETTINGS = {"sources": 64, "drift": 0.01, "rounds": 6}


def quality(answer: Earned) -> float:
    return answer.quality


def regret(mean: float) -> float:
    return 1 - mean


def is_right(answer: Earned) -> bool:
    return answer.is_right


def chance(budget: Budget, settings: Any) -> float:
    """What a source is worth that is drawn, in the last round."""
    world = World(settings["sources"], settings["drift"], budget.seed)
    steps = budget.shared(budget.copies * settings["rounds"])
    last_K = world.chances(steps * settings["rounds"])[-steps:].mean(axis=0)
    return float(last_K.mean() / last_K.max())


def _problem(budget: Budget, settings: Any, copies: int, rounds: int) -> Portfolio:
    world = World(settings["sources"], settings["drift"], budget.seed)
    steps = budget.shared(copies * rounds)
    return Portfolio(world, copies=copies, steps=steps, rounds=rounds, seed=budget.seed)


def _plan(strategy: Particles | Pool, problem: Portfolio) -> Plan:
    return Plan(strategy, problem, problem.copies * problem.steps * problem.rounds)


def one(budget: Budget, settings: Any) -> Plan:
    """One copy, whose rounds are as long, and of which there are as many more as there would be copies."""
    rounds = settings["rounds"] * budget.copies
    return _plan(Particles(rounds=rounds, share=1.0, ordinals=0), _problem(budget, settings, 1, rounds))


def apart(budget: Budget, settings: Any) -> Plan:
    """Each copy looks for good sources by itself."""
    strategy = Particles(rounds=settings["rounds"], share=1.0, seed=budget.seed)
    return _plan(strategy, _problem(budget, settings, budget.copies, settings["rounds"]))


def particles(budget: Budget, settings: Any) -> Plan:
    """Copies at good sources are forked, those at bad ones retired."""
    strategy = Particles(rounds=settings["rounds"], share=0.4, seed=budget.seed)
    return _plan(strategy, _problem(budget, settings, budget.copies, settings["rounds"]))


def pool(budget: Budget, settings: Any) -> Plan:
    """Each copy looks for good sources by itself, but what they learned of choosing is merged."""
    strategy = Pool(rounds=settings["rounds"], seed=budget.seed)
    return _plan(strategy, _problem(budget, settings, budget.copies, settings["rounds"]))


WAYS = {"one": one, "apart": apart, "particles": particles, "pool": pool}
