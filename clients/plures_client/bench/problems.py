"""Problem speed-up: how long it takes until a shipped problem is solved to a given quality, by each way to work on it.

A way is tried under growing budgets of steps, the same for all, each with as many repeats as any figure, each repeat
with a problem of its own. What counts is the first budget whose median quality is good enough.
"""

from dataclasses import dataclass

from ..client import Client
from ..errors import InvalidArgument
from ..solving import CASES, Budget, Case, Trial
from ..solving.compare import attempt
from ..sync.cohort import Cohort
from .serial import Note, cohort_of
from .settings import Settings
from .spread import Spread

ALONE = frozenset(("one", "alone", "restarts"))
"""Ways of one copy: what the others are read beside."""
COPIES = (10, 100, 1_000)
BUDGETS = (1_000, 8_000, 64_000)
"""Steps of all copies together."""
LONGEST = 8_000
"""Steps of a copy: a budget that takes more is not tried."""


@dataclass(frozen=True)
class Try:
    """A budget of steps, and what came of it by repeats."""

    budget: int
    seconds: Spread
    quality: Spread


@dataclass(frozen=True)
class Solved:
    """Copies on a problem. `seconds`: of the first budget with the quality wanted; None where none had it.

    Qualities are 1 where nothing is left to be wished, and 0 where as much as a problem's scale has is.
    """

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


def measure(client: Client, settings: Settings, note: Note) -> list[Solved]:
    """Every way to work on every problem whose task the student can do, by growing numbers of copies."""
    fitting = {name: case for name, case in CASES.items() if _fits(client, settings.student, case.task)}
    copies = [count for count in COPIES if count <= max(settings.sizes)]
    if not fitting:
        return []
    with cohort_of(client, settings, max([1, *copies])) as (cohort, _):
        found = [
            _solved(cohort, settings, name, way, count, note)
            for name, case in fitting.items()
            for way in case.ways
            for count in ([1] if way in ALONE else copies)
        ]
    return [each for each in found if each.tries]


def _fits(client: Client, student: str, task: str) -> bool:
    known, asked = client.students.get(student), {each.name: each for each in client.tasks.list()}
    spaces = (known.observation_space, known.action_space)
    return task in asked and (asked[task].observation_space, asked[task].action_space) == spaces


def _solved(cohort: Cohort, settings: Settings, problem: str, way: str, copies: int, note: Note) -> Solved:
    tries: list[Try] = []
    for total in BUDGETS:
        is_enough = bool(tries) and tries[-1].quality.median >= settings.quality
        if is_enough or not 1 <= total // copies <= LONGEST:
            continue
        note(f"problems: {problem} by {way}, {copies:,} copies, {total:,} steps in all")
        tried = _try(cohort, settings, problem, way, Budget(copies, total // copies, settings.seed))
        tries += [tried] if tried else []
    good = [tried.seconds for tried in tries if tried.quality.median >= settings.quality]
    return Solved(problem, way, copies, settings.quality, tries, good[0] if good else None)


def _try(cohort: Cohort, settings: Settings, problem: str, way: str, budget: Budget) -> Try | None:
    """None where the budget is too small for that way to begin."""
    seeds = range(settings.seed, settings.seed + settings.repeats)
    try:
        trials = [attempt(cohort, problem, way, Budget(budget.copies, budget.steps, seed), {}) for seed in seeds]
    except InvalidArgument:
        return None
    qualities = [_quality(CASES[problem], trial) for trial in trials]
    return Try(budget.total, Spread.of([trial.seconds for trial in trials]), Spread.of(qualities))


def _quality(case: Case, trial: Trial) -> float:
    return max(0.0, 1 - case.regret(trial.quality))
