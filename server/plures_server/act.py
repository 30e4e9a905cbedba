"""Acts: single steps that clients ask for, joined into one wave when they name different agents.

Shapes: B agents of a wave, A actions.
"""

from collections import deque
from concurrent.futures import Future
from time import time_ns

import torch
from torch import Tensor

from .act_request import ActRequest, ActResult
from .futures import answer
from .gathering import Gathering, Ready
from .horizon import beyond, enforce
from .pages import Pages, Turnover
from .pool import Pool
from .stepper import Stepper
from .wave import wave_of_all


class Actor:
    """Carries out waiting requests, in order for each agent."""

    def __init__(self, pool: Pool, steppers: dict[str, Stepper], enforcing: bool = True) -> None:
        """`enforcing`: whether agents beyond their horizon are dealt with; who does again what a log tells need not."""
        self._enforcing = enforcing
        self.waiting: deque[ActRequest] = deque()
        self._pool = pool
        self._steppers = steppers

    def step(self) -> int:
        """Join the requests that can go together, from the oldest on, carry them out, and say how many they were."""
        group = Gathering(self._pool, self._steppers).take(self.waiting)
        if not group:
            return 0
        stepper = self._steppers[group[0].cohort.student.name]
        try:
            self._carry_out(group, stepper)
        except Exception as error:  # noqa: BLE001 - raised where the acts are awaited
            for ready in group:
                _abandon(ready, stepper.pages, error)
        return len(group)

    def _carry_out(self, group: list[Ready], stepper: Stepper) -> None:
        began, device = time_ns(), stepper.pages.data.device
        wave = wave_of_all([(ready.cohort, ready.ordinals) for ready in group], device)
        states = Turnover.join([ready.turnover for ready in group])
        observation, reward, done = (
            torch.cat([getattr(ready, what) for ready in group]).to(device)
            for what in ("observation", "reward", "done")
        )
        logits_BA = reward.new_empty((len(wave), stepper.student.config.actions), dtype=torch.float32)
        action_B = torch.empty_like(wave.last_action)

        def step(rows: slice) -> None:
            part = wave.rows(rows)
            logits_BA[rows] = stepper.logits(part, observation[rows], reward[rows], done[rows])
            action_B[rows] = stepper.choose(part, logits_BA[rows])

        stepping = time_ns()
        for part in stepper.parts(len(wave)):
            stepper.seat(wave, states, part)
            for batch in stepper.batches(part):
                stepper.crew.each(step, batch)
        self._pool.steps.count(len(wave))
        action_B, stepped = action_B.cpu(), time_ns()
        self._finish(group, stepper.pages, logits_BA, action_B)
        stepper.metered(stepper.meters.acts, len(wave), (time_ns() - began) / 1e9)
        if marks := [ready.request.trace for ready in group if ready.request.trace is not None]:
            stepper.meters.tracing.waved(marks, len(wave), began, stepping, stepped)

    def _finish(self, group: list[Ready], pages: Pages, logits_BA: Tensor, action_B: Tensor) -> None:
        first = 0
        for ready in group:
            rows = slice(first, first := first + len(ready.ordinals))
            result = _settled(ready, pages, logits_BA[rows], action_B[rows])
            self._pool.journals.acted(ready.cohort, ready.request, result)
            if self._enforcing and enforce(self._pool, ready.cohort, ready.ordinals):
                # What was logged goes to the disk, though nobody waits for it.
                self._pool.journals.answer(Future(), None)


def _settled(ready: Ready, pages: Pages, logits_BA: Tensor, action_B: Tensor) -> ActResult:
    request, cohort, ordinals = ready.request, ready.cohort, ready.ordinals
    taken = (action_B if request.action is None else request.action).numpy()
    log_probs = logits_BA.log_softmax(-1).cpu().numpy() if request.want_log_probs else None
    pages.settle(ready.turnover)
    cohort.page[ordinals] = ready.turnover.write
    cohort.step[ordinals] += 1
    cohort.last_action[ordinals] = taken
    cohort.reward[ordinals] = 0
    cohort.busy[ordinals] = False
    steps = cohort.step[ordinals] if request.want_steps else None
    return ActResult(taken, log_probs, steps, len(beyond(cohort, ordinals)))


def _abandon(ready: Ready, pages: Pages, error: Exception) -> None:
    """Free the agents of a request that failed, unless it was carried out before another of its group failed."""
    if not ready.cohort.busy[ready.ordinals[0]]:
        return
    pages.release(ready.turnover.write[ready.turnover.moved])
    ready.cohort.busy[ready.ordinals] = False
    answer(ready.request.future, error)
