"""Acts: single steps that clients ask for, joined into one wave when they name different agents.

Shapes: B agents of a request, A actions.
"""

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from plures_students.spaces import check_elements
from torch import Tensor

from .cohort import Cohort, Ordinals
from .errors import AgentsBusy, InvalidArgument, PluresError
from .futures import answer
from .pages import Pages, Turnover
from .pool import Pool
from .stepper import Stepper
from .wave import Wave, joined, wave_of

MAX_AGENTS = 262_144
"""Most agents of one request, and of one wave of joined requests."""


@dataclass(frozen=True)
class ActResult:
    """action int32 [B]; log_probs float32 [B, A] when they were asked for."""

    action: NDArray[np.int32]
    log_probs: NDArray[np.float32] | None


@dataclass(frozen=True)
class ActRequest:
    """One step of some agents. What is None takes its default, as the wire contract says."""

    cohort: str
    ordinals: Ordinals | None
    observation: Tensor | None = None
    reward: Tensor | None = None
    done: Tensor | None = None
    action: Tensor | None = None
    want_log_probs: bool = False
    future: "Future[ActResult]" = field(default_factory=Future, compare=False)


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
        try:
            self._carry_out(group)
        except BaseException as error:
            for ready in group:
                answer(ready.request.future, error)
            raise

    def _carry_out(self, group: list[_Ready]) -> None:
        stepper = self._steppers[group[0].cohort.student.name]
        wave = joined([ready.wave for ready in group])
        observation, reward, done = (
            torch.cat([getattr(ready, what) for ready in group]) for what in ("observation", "reward", "done")
        )
        logits_BA = observation.new_empty((len(wave), stepper.student.config.actions), dtype=torch.float32)
        action_B = torch.empty_like(wave.last_action)

        def step(rows: slice) -> None:
            part = wave.rows(rows)
            logits_BA[rows] = stepper.logits(part, observation[rows], reward[rows], done[rows])
            action_B[rows] = stepper.choose(part, logits_BA[rows])

        for batch in stepper.batches(len(wave)):
            stepper.crew.each(step, batch)
        first = 0
        for ready in group:
            rows = slice(first, first := first + len(ready.ordinals))
            _finish(ready, stepper.pages, logits_BA[rows], action_B[rows])

    def _take_group(self) -> list[_Ready]:
        group: list[_Ready] = []
        room = MAX_AGENTS
        while self.waiting:
            request = self.waiting[0]
            try:
                ready = self._prepare(request, group, room)
            except PluresError as error:
                self.waiting.popleft()
                answer(request.future, error)
                continue
            if ready is None:
                break
            self.waiting.popleft()
            room -= len(ready.ordinals)
            group.append(ready)
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
        if len(ordinals) > MAX_AGENTS:
            raise InvalidArgument(f"{len(ordinals):,} agents in one request; at most {MAX_AGENTS:,} go in one")
        if len(ordinals) > room:
            return None
        return self._ready(request, cohort, ordinals)

    def _ready(self, request: ActRequest, cohort: Cohort, ordinals: Ordinals) -> _Ready:
        stepper, pages = self._steppers[cohort.student.name], self._pool.pages(cohort.student)
        device = pages.data.device
        observation, reward, done = _perceived(request, cohort, ordinals, stepper)
        turnover = pages.turn_over(cohort.page[ordinals])
        read, write = (torch.from_numpy(slots).to(device) for slots in (turnover.read, turnover.write))
        wave = wave_of(cohort, ordinals, read, write)
        cohort.busy[ordinals] = True
        on_device = (x.to(device) for x in (observation, reward, done))
        return _Ready(request, cohort, ordinals, turnover, wave, *on_device)


def _perceived(
    request: ActRequest, cohort: Cohort, ordinals: Ordinals, stepper: Stepper
) -> tuple[Tensor, Tensor, Tensor]:
    """Observation, reward and done of a request, checked, with defaults for what was left out."""
    config, count = cohort.student.config, len(ordinals)
    observation, reward, done = request.observation, request.reward, request.done
    if observation is None:
        if config.observation_size != 1:
            raise InvalidArgument(f"observations are missing: {config.observation_space} has more than one element")
        observation = stepper.blank_observation(count)
    if reward is None:
        reward = torch.from_numpy(cohort.reward[ordinals])
    if done is None:
        done = torch.zeros(count, dtype=torch.uint8)
    _check_rows(count, observation=observation, reward=reward, done=done, action=request.action)
    check_elements(config.observation_space, observation, "observation")
    if request.action is not None:
        check_elements(config.action_space, request.action, "action")
    if reward.dtype != torch.float32 or reward.ndim != 1 or not bool(reward.isfinite().all()):
        raise InvalidArgument("rewards must be finite FLOAT32 [agents]")
    if done.dtype != torch.uint8 or done.ndim != 1 or bool((done > 1).any()):
        raise InvalidArgument("done must be UINT8 [agents], each 0 or 1")
    return observation, reward, done


def _check_rows(count: int, **tensors: Tensor | None) -> None:
    for name, tensor in tensors.items():
        if tensor is not None and (tensor.ndim == 0 or len(tensor) != count):
            raise InvalidArgument(f"{name} has shape {list(tensor.shape)} for {count} agents")


def _finish(ready: _Ready, pages: Pages, logits_BA: Tensor, action_B: Tensor) -> None:
    request, cohort, ordinals = ready.request, ready.cohort, ready.ordinals
    taken = (action_B if request.action is None else request.action).cpu().numpy()
    pages.settle(ready.turnover)
    cohort.page[ordinals] = ready.turnover.write
    cohort.step[ordinals] += 1
    cohort.last_action[ordinals] = taken
    cohort.reward[ordinals] = 0
    cohort.busy[ordinals] = False
    log_probs = logits_BA.log_softmax(-1).cpu().numpy() if request.want_log_probs else None
    answer(request.future, ActResult(taken, log_probs))
