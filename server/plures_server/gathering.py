"""Gathering: which of the waiting acts go together in the next wave.

They are of one student and name different agents. What must wait is held back, and so is whatever came after it and
names an agent of its own, so that each agent's requests are carried out in the order sent.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .act_request import MAX_AGENTS, ActRequest, check_size, perceived
from .cohort import Cohort, Ordinals
from .errors import AgentsBusy, PoolFull
from .futures import answer
from .pages import Handles, Turnover
from .pool import Pool
from .stepper import Stepper


@dataclass(frozen=True)
class Ready:
    """A request that was checked, whose agents are marked busy and whose pages are turned over."""

    request: ActRequest
    cohort: Cohort
    ordinals: Ordinals
    turnover: Turnover
    observation: Tensor
    reward: Tensor
    done: Tensor


class Gathering:
    """One wave in the making; used once."""

    def __init__(self, pool: Pool, steppers: dict[str, Stepper]) -> None:
        self.group: list[Ready] = []
        self._pool = pool
        self._steppers = steppers
        self._room = MAX_AGENTS
        self._cohorts: set[str] = set()
        self._held: dict[str, NDArray[np.bool_]] = {}

    def take(self, waiting: deque[ActRequest]) -> list[Ready]:
        """Those that go together, from the oldest on; the rest stays, in order. The refused are answered."""
        held: list[ActRequest] = []
        while waiting and self._room:
            request = waiting.popleft()
            if request.future.cancelled():
                continue
            try:
                ready = self._prepare(request)
            except Exception as error:  # noqa: BLE001 - raised where the act is awaited
                answer(request.future, error)
                continue
            held.append(request) if ready is None else self._add(ready)
        waiting.extendleft(reversed(held))
        return self.group

    def _prepare(self, request: ActRequest) -> Ready | None:
        """The request made ready; None when it must wait for the wave to be carried out."""
        cohort = self._pool.get(request.cohort)
        if self.group and cohort.student is not self.group[0].cohort.student:
            return None
        try:
            ordinals = self._pool.select(cohort, request.ordinals)
        except AgentsBusy:
            if cohort.name not in self._cohorts:
                raise
            self._hold(cohort, request.ordinals)
            return None
        check_size(request, len(ordinals), cohort.student.config.actions)
        if len(ordinals) <= self._room and not self._is_held(cohort, ordinals):
            try:
                return self._ready(request, cohort, ordinals)
            except PoolFull:
                if not self.group:
                    raise
                # When the others have stepped, some may leave pages.
        self._hold(cohort, ordinals)
        return None

    def _ready(self, request: ActRequest, cohort: Cohort, ordinals: Ordinals) -> Ready:
        stepper = self._steppers[cohort.student.name]
        seen = perceived(request, cohort, ordinals, stepper)
        turnover = _turned_over(stepper, cohort.page[ordinals])
        cohort.busy[ordinals] = True
        return Ready(request, cohort, ordinals, turnover, *seen)

    def _add(self, ready: Ready) -> None:
        if not self.group:
            # Who must be stepped in parts goes alone.
            self._room = min(self._steppers[ready.cohort.student.name].most_rows or MAX_AGENTS, MAX_AGENTS)
        self.group.append(ready)
        self._cohorts.add(ready.cohort.name)
        self._room = max(0, self._room - len(ready.ordinals))

    def _is_held(self, cohort: Cohort, ordinals: Ordinals) -> bool:
        return cohort.name in self._held and bool(self._held[cohort.name][ordinals].any())

    def _hold(self, cohort: Cohort, ordinals: Ordinals | None) -> None:
        agents = self._held.setdefault(cohort.name, np.zeros(cohort.count, np.bool_))
        agents[slice(None) if ordinals is None else ordinals] = True


def _turned_over(stepper: Stepper, page: Handles) -> Turnover:
    """Pages to read and to write; when agents must be stepped in parts, all stay as they were until all have been."""
    pages, most = stepper.pages, stepper.most_rows
    in_parts = most is not None and len(page) > most
    if in_parts and len(page) > pages.free:
        raise PoolFull(
            f"only {most:,} of {len(page):,} agents can be stepped at once, and there is no room to keep all their "
            f"states until the last has stepped; act on {most:,} at a time"
        )
    return pages.turn_over(page, keep=in_parts)
