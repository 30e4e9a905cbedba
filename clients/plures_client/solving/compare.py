"""What does working together buy? The ways to work on a problem, each with the same steps, over the same seeds."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InvalidArgument
from ..sync.cohort import Cohort
from .cases import CASES
from .plan import Budget

OnTrial = Callable[[int, int], None]


@dataclass(frozen=True)
class Trial:
    """One way, tried once: what came of it, whether that holds, and what it took."""

    way: str
    copies: int
    seed: int
    quality: float
    is_right: bool
    seconds: float
    steps: int


@dataclass(frozen=True)
class Standing:
    """One way over all seeds: means and their standard errors; `gain` is the paired difference from one copy alone."""

    way: str
    quality: float
    quality_error: float
    gain: float
    gain_error: float
    seconds: float
    seconds_error: float
    right: int
    trials: int
    steps: int


@dataclass(frozen=True)
class Comparison:
    """All trials of a comparison, and of a sweep over numbers of copies that laws are fitted to."""

    problem: str
    unit: str
    copies: int
    steps: int
    settings: Mapping[str, str]
    trials: tuple[Trial, ...]
    swept: tuple[Trial, ...] = ()
    chance: float | None = None
    """The mean quality of whoever acts at random, where that is known."""

    def standings(self) -> list[Standing]:
        """The ways in their order, one copy alone first."""
        ways = list(dict.fromkeys(trial.way for trial in self.trials))
        return [self._standing(way, ways[0]) for way in ways]

    def _standing(self, way: str, baseline: str) -> Standing:
        trials = self._of(way)
        quality, alone = (np.array([trial.quality for trial in self._of(name)]) for name in (way, baseline))
        return Standing(
            way,
            *_mean(quality),
            *_mean(quality - alone),
            *_mean(np.array([trial.seconds for trial in trials])),
            right=sum(trial.is_right for trial in trials),
            trials=len(trials),
            steps=trials[0].steps,
        )

    def _of(self, way: str) -> list[Trial]:
        return [trial for trial in self.trials if trial.way == way]


def compare(
    cohort: Cohort, problem: str, budget: Budget, *, seeds: int, settings: Mapping[str, str], on_trial: OnTrial
) -> Comparison:
    """Every way for every seed, from the budget's on; the ways take turns, so that a busy machine is busy for all."""
    if seeds < 2:
        raise InvalidArgument(f"{seeds} seeds given; without at least two there are no error bars")
    case, trials = CASES[problem], []
    budgets = [replace(budget, seed=budget.seed + number) for number in range(seeds)]
    for seeded in budgets:
        for way in case.ways:
            trials.append(attempt(cohort, problem, way, seeded, settings))
            on_trial(len(trials), seeds * len(case.ways))
    by_chance = [case.chance(seeded, case.read(settings)) for seeded in budgets] if case.chance else []
    mean = float(np.mean(by_chance)) if by_chance else None
    return Comparison(problem, case.unit, budget.copies, budget.steps, dict(settings), tuple(trials), chance=mean)


def sweep(
    cohort: Cohort,
    problem: str,
    budget: Budget,
    *,
    sizes: Sequence[int],
    seeds: int,
    settings: Mapping[str, str],
    on_trial: OnTrial,
) -> tuple[Trial, ...]:
    """The problem's swept way by more and more copies, each of which makes as many steps."""
    way, trials = require_sweep(problem, budget, sizes, settings), []
    for number in range(seeds):
        for size in sizes:
            sized = replace(budget, copies=size, seed=budget.seed + number)
            trials.append(attempt(cohort, problem, way, sized, settings))
            on_trial(len(trials), seeds * len(sizes))
    return tuple(trials)


def require_sweep(problem: str, budget: Budget, sizes: Sequence[int], settings: Mapping[str, str]) -> str:
    """The way that is swept; raise InvalidArgument where one of the sizes leaves it too few steps."""
    case = CASES[problem]
    for size in sizes:
        case.plan(case.swept, replace(budget, copies=size), settings)
    return case.swept


def attempt(cohort: Cohort, problem: str, way: str, budget: Budget, settings: Mapping[str, str]) -> Trial:
    """One way, tried once by the first copies of the cohort."""
    case = CASES[problem]
    plan = case.plan(way, budget, settings)
    began = time.perf_counter()
    answer = cohort.solve(plan.strategy, plan.problem)
    seconds = time.perf_counter() - began
    return Trial(way, budget.copies, budget.seed, case.quality(answer), case.is_right(answer), seconds, plan.steps)


def _mean(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)
