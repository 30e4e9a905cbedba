"""The stepper of agents that vLLM steps: it reads the observed token, and tells how likely each next one is.

The choice is made here, by the agent's own random numbers. A language model is told tokens alone: what it says counts
as read when it is observed, and rewards and ends of episodes are not told to it.

Shapes: B agents of a wave, A actions, which are tokens.
"""

import numpy as np
import torch
from torch import Tensor

from ...crew import Crew
from ...pages import Pages
from ...pool import Pool
from ...speech import Saying, SayRequest
from ...stepper import Stepper
from ...students import Hosted
from ...telemetry.meter import Meters
from ...wave import Wave
from .places import NamedPlaces
from .running import READ, Call, Pending, Running
from .saying import Speakers

ROWS = 256
"""Agents that are asked for together; between them others get their turn."""


class VllmStepper(Stepper):
    """Steps agents by calls to a running vLLM, which joins them into batches of its own."""

    def __init__(self, running: Running, student: Hosted, pages: Pages, crew: Crew, meters: Meters) -> None:
        super().__init__(student, pages, crew, (ROWS,), meters)
        self.running = running

    @property
    def places(self) -> NamedPlaces:
        assert isinstance(self.pages.places, NamedPlaces)
        return self.pages.places

    def batches(self, part: slice) -> list[list[slice]]:
        """One at a time: vLLM's engine is one."""
        return [[slice(first, min(first + ROWS, part.stop))] for first in range(part.start, part.stop, ROWS)]

    def rows(self, count: int) -> int:
        return count

    def logits(self, wave: Wave, observation: Tensor, reward: Tensor, done: Tensor) -> Tensor:
        read, write = wave.read.tolist(), wave.write.tolist()
        params = {**READ, "logprobs": -1, "flat_logprobs": True}
        calls = [
            Call([token], load, self.places.name(to), params)
            for token, load, to in zip(observation.tolist(), self.places.names(read), write, strict=True)
        ]
        answers = self.running.ask(calls)
        for to, answer in zip(write, answers, strict=True):
            self.places.written(to, answer.version)
        return torch.from_numpy(np.stack([self._log_probs(answer) for answer in answers]))

    def say(self, pool: Pool, request: SayRequest) -> Saying:
        return Speakers.begin(self.running, pool, request)

    def _log_probs(self, answer: Pending) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        told = answer.outputs[-1].outputs[0].logprobs
        log_probs_A = np.full(self.student.config.actions, -np.inf, np.float32)
        log_probs_A[told.token_ids] = told.logprobs
        return log_probs_A
