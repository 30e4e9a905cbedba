"""A run: a task on many agents at once, tick after tick, on the device, without leaving it.

Shapes: B agents of the run, most steps first; K recorded agents; M summary columns.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .pages import Pages, Turnover
from .stepper import Stepper
from .tasks import Episode
from .wave import Wave

RECORD_BYTES = 1 << 20
"""Recorded steps are handed out before they grow beyond this."""


@dataclass(frozen=True)
class Record:
    """Consecutive ticks of the recorded agents: action int32 and reward float32, [ticks, K]."""

    first_tick: int
    action: NDArray[np.int32]
    reward: NDArray[np.float32]


@dataclass(frozen=True)
class Progress:
    """How far a run is; `record` is None when nothing is recorded."""

    tick: int
    ticks: int
    agent_steps: int
    seconds: float
    mean_reward: float
    record: Record | None


class Run:
    """Agents on a task. Whoever drives it calls `advance` until `finished`."""

    def __init__(
        self,
        stepper: Stepper,
        wave: Wave,
        turnover: Turnover,
        reward_B: Tensor,
        episode: Episode,
        steps: NDArray[np.int64],
    ) -> None:
        """`steps` [B], not increasing: how many steps each agent makes. `reward_B`: for their last actions."""
        self.wave = wave
        self.reward_B = reward_B
        self.episode = episode
        self.tick = 0
        self.recorded = 0
        # Agents beyond their horizon at the end.
        self.beyond = 0
        self.advancing = False
        self._stepper = stepper
        # Until the first tick is made, where states come from and go to; then where they are.
        self.states = turnover
        # Ascending, as the search for who still steps wants it.
        self._minus_steps = -steps
        # To an agent that has lived before, a new task is a new episode.
        self._done_B = (wave.step > 0).to(torch.uint8)
        self._agent_steps = 0
        self._taken = (0, 0)
        self._seconds = 0.0
        self._record: list[Tensor] = []

    @property
    def ticks(self) -> int:
        return -int(self._minus_steps[0])

    @property
    def agent_steps(self) -> int:
        """Steps of all agents so far."""
        return self._agent_steps

    @property
    def finished(self) -> bool:
        return self.tick == self.ticks

    @property
    def pages(self) -> Pages:
        return self._stepper.pages

    def advance(self, seconds: float) -> Generator[None, None, Progress]:
        """Make whole ticks for about so long, at least one, and say how far that led; yields after each few tiles."""
        self.advancing = True
        try:
            return (yield from self._ticks(seconds))
        finally:
            self.advancing = False

    def go_on_to(self, tick: int) -> Generator[None, None, None]:
        """Make whole ticks until so many are made; yields after each few tiles."""
        while self.tick < tick:
            yield from self._one_tick()

    def take_steps(self) -> tuple[int, int]:
        """Ticks, and steps of all agents together, since this was asked last."""
        before, self._taken = self._taken, (self.tick, self._agent_steps)
        return self.tick - before[0], self._agent_steps - before[1]

    def is_between_ticks(self, step_before_B: NDArray[np.int64]) -> bool:
        """Whether every agent, with so many steps behind it when the run began, has made its step of each tick.

        When a tick failed, some have and some have not.
        """
        made_B = self.wave.step.cpu().numpy() - step_before_B
        return bool((made_B == np.minimum(-self._minus_steps, self.tick)).all())

    def _ticks(self, seconds: float) -> Generator[None, None, Progress]:
        began, first = time.perf_counter(), self.tick
        total = 0.0
        while True:
            total = yield from self._one_tick()
            spent = time.perf_counter() - began
            if self.finished or spent >= seconds or self._record_bytes() >= RECORD_BYTES:
                break
        self._seconds += spent
        mean = total / self._active(self.tick - 1)
        return Progress(self.tick, self.ticks, self._agent_steps, self._seconds, mean, self._take_record(first))

    def _one_tick(self) -> Generator[None, None, float]:
        began, active = time.perf_counter(), self._active(self.tick)
        for batch in self._batches(active):
            if self._stepper.most_rows is not None:
                self._stepper.seat(self.wave, self.states, slice(batch[0].start, batch[-1].stop))
            self._stepper.crew.each(self._step_tile, batch)
            yield
        self._settle()
        if self.recorded:
            kept = slice(0, self.recorded)
            self._record.append(torch.stack([self.wave.last_action[kept].float(), self.reward_B[kept]]).cpu())
        self._stepper.metered(self._stepper.meters.ticks, active, time.perf_counter() - began)
        self._agent_steps += active
        self.tick += 1
        return float(self.reward_B[:active].sum())

    def _step_tile(self, rows: slice) -> None:
        wave = self.wave.rows(rows)
        observation = self.episode.observation(rows)
        logits = self._stepper.logits(wave, observation, self.reward_B[rows], self._done_B[rows])
        action = self._stepper.choose(wave, logits)
        self.reward_B[rows] = self.episode.step(rows, action, self.tick)
        self._done_B[rows] = self.episode.ended(rows)
        wave.last_action.copy_(action)
        wave.step += 1

    def _batches(self, active: int) -> list[list[slice]]:
        """The tiles of a tick. When not all are hot at once, every other tick begins with those stepped last."""
        batches = self._stepper.batches(slice(0, active))
        return batches[::-1] if self._stepper.most_rows is not None and self.tick % 2 else batches

    def _settle(self) -> None:
        """After the first tick every agent has a page of its own."""
        if self.tick == 0:
            self.wave.read = self.wave.write
            self.states = Turnover.at_rest(self.pages.settle(self.states))

    def _active(self, tick: int) -> int:
        """Agents that still step at this tick: a prefix, since those with most steps stand first."""
        return int(np.searchsorted(self._minus_steps, -tick))

    def _record_bytes(self) -> int:
        return 8 * self.recorded * len(self._record)

    def _take_record(self, first: int) -> Record | None:
        if not self._record:
            return None
        action, reward = torch.stack(self._record, dim=1).numpy()
        self._record.clear()
        return Record(first, action.astype(np.int32), reward)
