"""Plain PyTorch: an agent at a time; all at once, with their states gathered and scattered; and that, compiled.

B agents, A actions, I inputs, D width, L layers, H heads, S floats of a head's state, N pages, P floats of a page.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from plures_kernels.norm import unit
from plures_kernels.spec import Kind
from plures_students.model import Inputs, Student
from torch import Tensor

from .agents import Agents, BatchedAgents, Skip

# pages [N, P], rows to read [B], encoded inputs [B, I] → logits [B, A] and new pages [B, P]
WholeStep = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

COMPILE_SECONDS = 300
TRIED = 64


def without_fast_kernels(student: Student) -> Student:
    """The same student, whose memories step in plain PyTorch."""
    plain = deepcopy(student)
    for memory in plain.memories:
        memory.rule = replace(memory.rule, step_for={})  # type: ignore[type-var]
    return plain


class LoopedAgents:
    """An agent an object, each stepped by a call of its own, as one would write it for a single learner."""

    def __init__(self, student: Student, agents: int) -> None:
        step = without_fast_kernels(student).step
        self._agents = [BatchedAgents(student, range(number, number + 1), step) for number in range(agents)]

    def step(self) -> None:
        for agent in self._agents:
            agent.step()

    def summary(self) -> Tensor:
        return torch.cat([agent.summary() for agent in self._agents])

    @property
    def bytes_an_agent(self) -> float:
        return self._agents[0].bytes_an_agent


def batched(student: Student, agents: int) -> Agents:
    """All at once: gather, step, scatter."""
    return BatchedAgents(student, range(agents), without_fast_kernels(student).step)


def compiled(student: Student, agents: int) -> Agents:
    """The same, by what TorchInductor makes of it. Skip: it makes nothing of it here, or not in time."""
    whole_step = _compiled(student)

    @torch.no_grad()
    def step(pages_NP: Tensor, read_B: Tensor, write_B: Tensor, inputs: Inputs) -> Tensor:
        logits_BA, pages_NP[write_B] = whole_step(pages_NP, read_B, student.encode(inputs))
        return logits_BA

    return BatchedAgents(student, range(agents), step)


@cache
def _compiled(student: Student) -> WholeStep:
    """One for all numbers of agents, tried on a few: compiling is no step."""
    if student.config.think:
        raise Skip("written for students without silent steps")
    whole_step = torch.compile(_functional(student), dynamic=True, fullgraph=True)
    pages_NP, few = torch.zeros(TRIED, student.config.page_floats), torch.arange(TRIED)
    try:
        with _at_most(COMPILE_SECONDS), torch.no_grad():
            whole_step(pages_NP, few, torch.zeros(TRIED, student.config.input_width))
    except Exception as error:
        # The compiler's failures are of many kinds, and each is a reason.
        raise Skip(f"torch.compile: {type(error).__name__}: {str(error).splitlines()[0][:80]}") from error
    return whole_step


def _functional(student: Student) -> WholeStep:
    """As `Student.step`, but no write is hidden in it."""
    config, layers = student.config, list(zip(student.memories, student.mlps, strict=True))

    def forward(pages_NP: Tensor, read_B: Tensor, encoded_BI: Tensor) -> tuple[Tensor, Tensor]:
        states_BLHS = pages_NP[read_B].view(-1, *config.state_shape)
        x_BD, after = student.embed(encoded_BI), []
        for layer, (memory, mlp) in enumerate(layers):
            y_BHV, state_BHS = _remember(memory, states_BLHS[:, layer], x_BD)
            x_BD = x_BD + memory.merge(y_BHV.flatten(-2))  # type: ignore[operator]
            x_BD = x_BD + mlp(x_BD)
            after.append(state_BHS)
        return student.head(student.norm(x_BD)), torch.stack(after, dim=1).flatten(1)

    return forward


def _remember(memory: Any, state_BHS: Tensor, x_BD: Tensor) -> tuple[Tensor, Tensor]:
    rule = memory.rule
    pairs = list(zip(rule.spec.inputs, memory.inputs(x_BD), strict=True))
    inputs = [unit(x) if inp.kind is Kind.DIRECTION else x for inp, x in pairs]
    y_BHV, parts = rule.advance(rule.spec.split(state_BHS, rule.spec.extents([x for _, x in pairs])), *inputs)
    return y_BHV, rule.spec.join(parts)


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in the main thread after so many seconds."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
