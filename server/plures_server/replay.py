"""Agents made to live given steps: a few agents by the student's scan where that gives the same bits, others in tiles.

Shapes: T steps, B agents, F floats of a page.
"""

from collections.abc import Generator
from functools import partial

import numpy as np
import torch
from plures_students.model import Inputs
from torch import Tensor

from .cohort import Cohort, Ordinals
from .life import Steps
from .pages import Turnover
from .scanning import pieces
from .stepper import Stepper
from .wave import wave_of


class Replay:
    """One chunk for agents of a cohort, whose pages are turned over. `states`: where they are, once it has run."""

    def __init__(
        self, stepper: Stepper, cohort: Cohort, ordinals: Ordinals, turnover: Turnover, steps: Steps, logs: bool
    ) -> None:
        self.states = turnover
        self.written = np.zeros(len(ordinals), np.bool_)
        device = stepper.pages.data.device
        self.log_prob_TB = torch.zeros(steps.action.shape if logs else (0, 0), device=device)
        self._stepper = stepper
        self._logs = logs
        self._wave = wave_of(cohort, ordinals, device)
        self._observation, self._reward, self._done, self._action = (
            x.to(device) for x in (steps.observation, steps.reward, steps.done, steps.action)
        )
        self._previous_TB = torch.cat([self._wave.last_action.unsqueeze(0), self._action[:-1]])

    def run(self) -> Generator[None, None, None]:
        """Live all steps; yields after each few tiles or pieces."""
        scanned = self._scannable()
        if scanned:
            yield from self._scan(scanned)
        for t in range(scanned[-1].stop if scanned else 0, len(self._action)):
            yield from self._step(t)

    def _scannable(self) -> list[slice]:
        few = len(self._wave) < self._stepper.tiles[0]
        return pieces(len(self._action), self._stepper.scan_sizes) if few else []

    def _scan(self, scanned: list[slice]) -> Generator[None, None, None]:
        pages, workers = self._stepper.pages, self._stepper.crew.workers
        states_BF = pages.get(self.states.read).to(pages.data.device)
        agents = [slice(b, b + 1) for b in range(len(states_BF))]
        for steps in scanned:
            for first in range(0, len(agents), workers):
                self._stepper.crew.each(partial(self._scan_one, states_BF, steps), agents[first : first + workers])
                yield
        pages.put(self.states.write, states_BF)
        self._settle()

    def _scan_one(self, states_BF: Tensor, t: slice, agent: slice) -> None:
        b = agent.start
        seen = Inputs(self._observation[t, b], self._previous_TB[t, b], self._reward[t, b], self._done[t, b])
        logits_TA, states_BF[b] = self._stepper.scan(states_BF[b], seen)
        self._log(logits_TA, self._action[t, b], (t, b))

    def _step(self, t: int) -> Generator[None, None, None]:
        def step(rows: slice) -> None:
            part = self._wave.rows(rows)
            seen = (x[t, rows] for x in (self._observation, self._reward, self._done))
            self._log(self._stepper.logits(part, *seen), self._action[t, rows], (t, rows))

        self._wave.last_action.copy_(self._previous_TB[t])
        for batch in self._stepper.batches(slice(0, len(self._wave))):
            self._stepper.seat(self._wave, self.states, slice(batch[0].start, batch[-1].stop))
            self._stepper.crew.each(step, batch)
            yield
        self._settle()

    def _log(self, logits: Tensor, action: Tensor, where: tuple[int | slice, int | slice]) -> None:
        if self._logs:
            self.log_prob_TB[where] = logits.log_softmax(-1).gather(-1, action.long().unsqueeze(-1)).squeeze(-1)

    def _settle(self) -> None:
        """All agents have lived a step, or more: their states are where they were written to."""
        if not self.written.all():
            self.states = Turnover.at_rest(self._stepper.pages.settle(self.states))
            self.written[:] = True
