"""Copies of a student as minds among the teachers: they live in the same worlds, and are asked the same questions.

Shapes: B lives, A actions.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .fused import Step as StepFunction
from .fused import fused
from .model import NO_ACTION, Inputs, Student
from .spaces import dtype_of
from .teachers import Step
from .teachers.learner import Real, Whole


@dataclass(frozen=True)
class Copies:
    """A learner whose minds are copies of a student; `teachers.record` and `teachers.foreseen` take it as any other."""

    student: Student

    def begin(self, lives: int, observations: int, actions: int) -> "CopiesMind":
        return CopiesMind(self.student, fused(self.student), lives)


class CopiesMind:
    """Copies in the midst of their lives. They perceive, and so learn, when they are asked: once a step."""

    def __init__(self, student: Student, step: StepFunction, lives: int) -> None:
        self._step = step
        self._kind = dtype_of(student.config.observation_space)
        self._pages = torch.zeros(lives, student.config.page_floats)
        self._slots = torch.arange(lives, dtype=torch.int32)
        self._action_B = torch.full((lives,), NO_ACTION, dtype=torch.int32)
        self._reward_B, self._done_B = torch.zeros(lives), torch.zeros(lives, dtype=torch.uint8)

    def probabilities(self, observation_B: Whole) -> Real:
        seen_B = torch.from_numpy(observation_B).to(self._kind)
        inputs = Inputs(seen_B, self._action_B, self._reward_B, self._done_B)
        probability_BA: Real = self._step(self._pages, self._slots, self._slots, inputs).double().softmax(-1).numpy()
        return probability_BA

    def learn(self, now: Step) -> None:
        self._action_B = torch.from_numpy(now.action_B.astype(np.int32))
        self._reward_B = torch.from_numpy(now.reward_B.astype(np.float32))
        self._done_B = torch.from_numpy(now.done_B.astype(np.uint8))
