"""Problem speed-up: how long copies take until they have solved a shipped problem to a given quality.

A problem is tried under growing budgets, each with as many repeats as any figure, each repeat with a seed of its own.
What counts is the first budget whose median quality is good enough.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..client import Client
from ..coordinators import Halving, Particles, Pool
from ..problems import BestArm, Portfolio, World
from ..sync.cohort import Cohort
from .serial import Note, cohort_of
from .settings import Settings
from .spread import Spread, seconds

ARMS = 1024
RATES_SEED = 8
SOURCES, DRIFT, ROUNDS = 64, 0.01, 6
BUDGETS = (16, 64, 256, 1_024)
"""Steps a copy."""
COPIES = (1, 10, 100, 1_000, 10_000)
MOST_STEPS = 4_000_000
"""Of all copies in one try: beyond it, a budget is not tried."""

Solve = Callable[[Cohort, int, int, int], float]
"""(cohort, copies, budget in steps a copy, seed) → quality, of 0 to 1."""


@dataclass(frozen=True)
class Strategy:
    """A way to solve a shipped problem."""

    problem: str
    strategy: str
    task: str
    solve: Solve


@dataclass(frozen=True)
class Try:
    """A budget of steps a copy, and what came of it by repeats."""

    budget: int
    seconds: Spread
    quality: Spread


@dataclass(frozen=True)
class Solved:
    """Copies on a problem. `seconds`: of the first budget with the quality wanted; None where none had it."""

    problem: str
    strategy: str
    copies: int
    wanted: float
    tries: list[Try]
    seconds: Spread | None

    @property
    def best(self) -> float:
        """The best median quality that was reached."""
        return max(tried.quality.median for tried in self.tries)


def best_arm_by_halving(cohort: Cohort, copies: int, budget: int, seed: int) -> float:
    """The best of 1,024 arms, most of which pay seldom and few often."""
    rates = np.random.default_rng(RATES_SEED).beta(1, 4, size=ARMS)
    return cohort.solve(Halving(ordinals=range(copies)), BestArm(rates, pulls=budget, seed=seed)).quality


def portfolio_by(strategy: Callable[[int], Particles | Pool]) -> Solve:
    """Sources that drift, of which each copy watches two: how good those are that copies choose in the last round."""

    def solve(cohort: Cohort, copies: int, budget: int, seed: int) -> float:
        world = World(SOURCES, DRIFT, seed)
        problem = Portfolio(world, copies=copies, steps=max(1, budget // ROUNDS), rounds=ROUNDS, seed=seed)
        return cohort.solve(strategy(seed), problem).quality

    return solve


STRATEGIES = (
    Strategy("best arm", "Halving", "bandit", best_arm_by_halving),
    Strategy("portfolio", "Particles", "restless-bandit",
             portfolio_by(lambda seed: Particles(rounds=ROUNDS, share=0.4, seed=seed))),
    Strategy("portfolio", "Pool", "restless-bandit", portfolio_by(lambda seed: Pool(rounds=ROUNDS, seed=seed))),
)  # fmt: skip


def measure(client: Client, settings: Settings, note: Note) -> list[Solved]:
    """Every shipped strategy whose task the student can do, by growing numbers of copies."""
    student, tasks = client.students.get(settings.student), {task.name: task for task in client.tasks.list()}
    fits = [
        each for each in STRATEGIES
        if each.task in tasks and tasks[each.task].action_space == student.action_space
        and tasks[each.task].observation_space == student.observation_space
    ]  # fmt: skip
    copies = [count for count in COPIES if count <= max(settings.sizes)]
    if not fits:
        return []
    with cohort_of(client, settings, copies[-1]) as (cohort, _):
        return [_solved(cohort, settings, each, count, note) for each in fits for count in copies]


def _solved(cohort: Cohort, settings: Settings, way: Strategy, copies: int, note: Note) -> Solved:
    tries: list[Try] = []
    for budget in BUDGETS:
        if tries and (budget * copies > MOST_STEPS or tries[-1].quality.median >= settings.quality):
            break
        note(f"problems: {way.problem} by {copies:,} copies, {budget} steps each")
        tries.append(_try(cohort, settings, way, copies, budget))
    good = [tried.seconds for tried in tries if tried.quality.median >= settings.quality]
    return Solved(way.problem, way.strategy, copies, settings.quality, tries, good[0] if good else None)


def _try(cohort: Cohort, settings: Settings, way: Strategy, copies: int, budget: int) -> Try:
    qualities: list[float] = []
    taken = [
        seconds(lambda seed=seed: qualities.append(way.solve(cohort, copies, budget, seed)))  # type: ignore[misc]
        for seed in range(settings.seed, settings.seed + settings.repeats)
    ]
    return Try(budget, Spread.of(taken), Spread.of(qualities))
