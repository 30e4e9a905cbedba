"""Serial speed-up: the teacher's seconds for a decision over a copy's, while a whole cohort decides.

A copy's seconds for a decision are those of a tick of its cohort: all copies decide in it, each once.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from ..client import Client
from ..errors import ResourceExhausted
from ..sync.cohort import Cohort
from .settings import Settings
from .spread import Spread, repeated, seconds

WARM_TICKS = 2
"""Before the clock runs: the first gives each agent a page of its own."""
MOST_TICKS = 10_000
SEARCH_STEPS = 4

Note = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """A cohort of `agents` at work. Seconds a decision: `run`, the task on the server beside the copies; `act`, every
    step asked for over the wire and its actions waited for, the task being the client's.

    `birth_seconds`: from asking for the cohort until it was there.
    """

    agents: int
    ticks: int
    birth_seconds: float
    state_bytes: int
    run: Spread
    act: Spread | None

    @property
    def steps_per_second(self) -> float:
        """Of all copies together, the task included."""
        return self.agents / self.run.median


@dataclass(frozen=True)
class Serial:
    """Cohorts by size. `at_goal`: the largest measured that has the goal's speed-up, None when not even one copy has.

    `largest`: all copies that the server has room for; they were started and made a few steps, timed once.
    """

    paces: list[Pace]
    at_goal: Pace | None
    largest: Pace


def measure(client: Client, settings: Settings, note: Note) -> Serial:
    """Measure the cohorts that fit, then look between them for the largest that is fast enough."""
    room = _room(client, settings.student)
    paces = []
    for agents in [size for size in settings.sizes if size <= room] or [room]:
        note(f"serial: {agents:,} copies")
        paces.append(_pace(client, settings, agents))
    at_goal = _search(client, settings, paces, note)
    largest = paces[-1]
    if room > largest.agents and not _is_close(room, largest.agents):
        note(f"serial: {room:,} copies, all that fit")
        largest = _once(client, settings, room)
    return Serial(paces, at_goal, largest)


def speed_up(settings: Settings, seconds_per_decision: Spread) -> float:
    """The teacher's seconds over these."""
    return settings.teacher_seconds / seconds_per_decision.median


@contextmanager
def cohort_of(client: Client, settings: Settings, agents: int) -> Iterator[tuple[Cohort, float]]:
    """So many newborn copies and how many seconds their birth took; retired at the end."""
    began = time.perf_counter()
    name = f"bench-{uuid4().hex[:8]}"
    cohort = client.cohorts.start(name, student=settings.student, count=agents, seed=settings.seed)
    try:
        yield cohort, time.perf_counter() - began
    finally:
        cohort.retire()


def _pace(client: Client, settings: Settings, agents: int, act: bool = True) -> Pace:
    with cohort_of(client, settings, agents) as (cohort, birth):
        cohort.run(settings.task, settings.parameters, steps=WARM_TICKS).result()
        ticks = _ticks_for(settings.seconds, lambda steps: _run(cohort, settings, steps))
        run = repeated(lambda: _run(cohort, settings, ticks), settings.repeats).divided(ticks)
        acts = _acts(client, cohort, settings, agents) if act else None
        return Pace(agents, ticks, birth, cohort.describe().state_bytes, run, acts)


def _once(client: Client, settings: Settings, agents: int) -> Pace:
    with cohort_of(client, settings, agents) as (cohort, birth):
        _run(cohort, settings, 1)
        run = Spread.of([seconds(lambda: _run(cohort, settings, 1))])
        return Pace(agents, 1, birth, cohort.describe().state_bytes, run, None)


def _run(cohort: Cohort, settings: Settings, steps: int) -> None:
    cohort.run(settings.task, settings.parameters, steps=steps, seed=settings.seed).result()


def _acts(client: Client, cohort: Cohort, settings: Settings, agents: int) -> Spread:
    """Steps one after the other: an answer is waited for before the next is sent."""
    seen = _blank(client, settings, agents)

    def act(steps: int) -> None:
        for _ in range(steps):
            cohort.act(range(agents), **seen)

    steps = _ticks_for(settings.seconds, act)
    return repeated(lambda: act(steps), settings.repeats).divided(steps)


def _blank(client: Client, settings: Settings, agents: int) -> Any:
    """What copies perceive in a step where nothing happens, in the shapes of the student's space."""
    space = client.students.get(settings.student).observation_space
    shape = (agents, *space.get("shape", ()), *([len(space["nvec"])] if "nvec" in space else []))
    dtype = np.float32 if space["type"] == "Box" else np.int32
    return {"observation": np.zeros(shape, dtype), "reward": np.zeros(agents, np.float32)}


def _ticks_for(budget_seconds: float, work: Callable[[int], None]) -> int:
    """How many ticks take about so long, by one trial of a few."""
    once = seconds(lambda: work(1))
    few = max(1, min(20, int(0.2 * budget_seconds / max(once, 1e-6))))
    each = seconds(lambda: work(few)) / few
    return max(1, min(MOST_TICKS, math.ceil(budget_seconds / each)))


def _search(client: Client, settings: Settings, paces: list[Pace], note: Note) -> Pace | None:
    """Between the largest size that has the goal and the next that has not, halve the gap in the logarithm."""
    fast = [pace for pace in paces if speed_up(settings, pace.run) >= settings.goal]
    if not fast or fast[-1] is paces[-1]:
        return fast[-1] if fast else None
    best = fast[-1]
    above = min(pace.agents for pace in paces if pace.agents > best.agents)
    for _ in range(SEARCH_STEPS):
        middle = round(math.sqrt(best.agents * above))
        if _is_close(above, best.agents) or middle in (best.agents, above):
            break
        note(f"serial: {middle:,} copies, looking for {settings.goal:g}×")
        pace = _pace(client, settings, middle, act=False)
        if speed_up(settings, pace.run) >= settings.goal:
            best = pace
        else:
            above = middle
    return best


def _is_close(larger: int, smaller: int) -> bool:
    return larger < 1.1 * smaller


def _room(client: Client, student: str) -> int:
    """Agents that the server can still start and step."""
    pool, page = client.pool(), client.students.get(student).page_bytes
    room = min(pool.agents_free, (pool.bytes_capacity - pool.bytes_used) // max(page, 1))
    if room < 1:
        raise ResourceExhausted("the server has no room for another agent; retire some, or give it more --memory-gb")
    return int(room)
