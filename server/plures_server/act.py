"""Acts: single steps that clients ask for, joined into one wave when they name different agents.

Shapes: B agents of a request, A actions.
"""

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from .act_request import MAX_AGENTS, ActRequest, ActResult, check_size, perceived
from .cohort import Cohort, Ordinals
from .errors import AgentsBusy, PoolFull
from .futures import answer
from .pages import Handles, Pages, Turnover
from .pool import Pool
from .stepper import Stepper
from .wave import Wave, joined, wave_of


@dataclass(frozen=True)
class _Ready:
    """A request that was checked, whose agents are marked busy and whose pages are turned over."""

    request: ActRequest
    cohort: Cohort
    ordinals: Ordinals
    turnover: Turnover
    wave: Wave
    observation: Tensor
    reward: Tensor
    done: Tensor


class Actor:
    """Carries out waiting requests, in order for each agent."""

    def __init__(self, pool: Pool, steppers: dict[str, Stepper]) -> None:
        self.waiting: deque[ActRequest] = deque()
        self._pool = pool
        self._steppers = steppers

    def step(self) -> None:
        """Join the requests that can go together, from the oldest on, and carry them out."""
        group = self._take_group()
        if not group:
            return
        stepper = self._steppers[group[0].cohort.student.name]
        try:
            self._carry_out(group, stepper)
        except Exception as error:  # noqa: BLE001 - raised where the acts are awaited
            for ready in group:
                _abandon(ready, stepper.pages, error)

    def _carry_out(self, group: list[_Ready], stepper: Stepper) -> None:
        wave = joined([ready.wave for ready in group])
        states = Turnover.join([ready.turnover for ready in group])
        observation, reward, done = (
            torch.cat([getattr(ready, what) for ready in group]) for what in ("observation", "reward", "done")
        )
        logits_BA = observation.new_empty((len(wave), stepper.student.config.actions), dtype=torch.float32)
        action_B = torch.empty_like(wave.last_action)

        def step(rows: slice) -> None:
            part = wave.rows(rows)
            logits_BA[rows] = stepper.logits(part, observation[rows], reward[rows], done[rows])
            action_B[rows] = stepper.choose(part, logits_BA[rows])

        for part in stepper.parts(len(wave)):
            stepper.seat(wave, states, part)
            for batch in stepper.batches(part):
                stepper.crew.each(step, batch)
        first = 0
        for ready in group:
            rows = slice(first, first := first + len(ready.ordinals))
            result = _finish(ready, stepper.pages, logits_BA[rows], action_B[rows])
            self._pool.journals.acted(ready.cohort, ready.request, result)

    def _take_group(self) -> list[_Ready]:
        group: list[_Ready] = []
        room = MAX_AGENTS
        while self.waiting:
            request = self.waiting[0]
            try:
                ready = self._prepare(request, group, room)
            except Exception as error:  # noqa: BLE001 - raised where the act is awaited
                self.waiting.popleft()
                answer(request.future, error)
                continue
            if ready is None:
                break
            self.waiting.popleft()
            group.append(ready)
            # Who must be stepped in parts goes alone.
            most = self._steppers[ready.cohort.student.name].most_rows or MAX_AGENTS
            room = min(most, MAX_AGENTS) - sum(len(one.ordinals) for one in group)
        return group

    def _prepare(self, request: ActRequest, group: list[_Ready], room: int) -> _Ready | None:
        """The request made ready; None when it must wait for the group to be carried out."""
        cohort = self._pool.get(request.cohort)
        if group and cohort.student is not group[0].cohort.student:
            return None
        try:
            ordinals = self._pool.select(cohort, request.ordinals)
        except AgentsBusy:
            if any(ready.cohort is cohort for ready in group):
                return None
            raise
        check_size(request, len(ordinals), cohort.student.config.actions)
        if len(ordinals) > room:
            return None
        try:
            return self._ready(request, cohort, ordinals)
        except PoolFull:
            if group:  # some of whose agents may leave pages when they have stepped
                return None
            raise

    def _ready(self, request: ActRequest, cohort: Cohort, ordinals: Ordinals) -> _Ready:
        stepper, pages = self._steppers[cohort.student.name], self._pool.pages(cohort.student)
        device = pages.data.device
        observation, reward, done = perceived(request, cohort, ordinals, stepper)
        turnover = _turned_over(stepper, cohort.page[ordinals])
        wave = wave_of(cohort, ordinals, device)
        cohort.busy[ordinals] = True
        on_device = (x.to(device) for x in (observation, reward, done))
        return _Ready(request, cohort, ordinals, turnover, wave, *on_device)


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


def _finish(ready: _Ready, pages: Pages, logits_BA: Tensor, action_B: Tensor) -> ActResult:
    request, cohort, ordinals = ready.request, ready.cohort, ready.ordinals
    taken = (action_B if request.action is None else request.action).cpu().numpy()
    log_probs = logits_BA.log_softmax(-1).cpu().numpy() if request.want_log_probs else None
    pages.settle(ready.turnover)
    cohort.page[ordinals] = ready.turnover.write
    cohort.step[ordinals] += 1
    cohort.last_action[ordinals] = taken
    cohort.reward[ordinals] = 0
    cohort.busy[ordinals] = False
    return ActResult(taken, log_probs, cohort.step[ordinals] if request.want_steps else None)


def _abandon(ready: _Ready, pages: Pages, error: Exception) -> None:
    """Free the agents of a request that failed, unless it was carried out before another of its group failed."""
    if not ready.cohort.busy[ready.ordinals[0]]:
        return
    pages.release(ready.turnover.write[ready.turnover.moved])
    ready.cohort.busy[ready.ordinals] = False
    answer(ready.request.future, error)
