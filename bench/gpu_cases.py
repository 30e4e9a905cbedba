"""What the GPU bench steps: a rule's states in a pool, and waves of agents that are stepped one after another.

B rows, H heads, S floats of a head's state, N pages, W waves.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from counting import extents, page_bytes, step_bytes
from plures_kernels import Input, Kind, Rule
from torch import Tensor

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MOST_WAVES = 8


@dataclass(frozen=True)
class Case:
    """One rule at one size; `pool_bytes` is how much memory the pages take at least, far more than the caches."""

    rule: Rule
    heads: int
    width: int
    state: str
    agents: int
    device: str
    pool_bytes: int

    @property
    def name(self) -> str:
        return f"{self.rule.name}, {self.heads} × {self.width}×{self.width} {self.state}, {self.agents:,} agents"

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.state]

    @cached_property
    def extents(self) -> dict[str, int]:
        return extents(self.width, self.heads)

    @property
    def page_bytes(self) -> int:
        return page_bytes(self.rule, self.extents, self.dtype)

    @property
    def bytes(self) -> int:
        """What a step of all agents must move."""
        return self.agents * step_bytes(self.rule, self.extents, self.dtype)

    @property
    def token_bytes(self) -> int:
        """The part of it that is not states."""
        return self.bytes - 2 * self.agents * self.page_bytes

    @property
    def pages(self) -> int:
        return max(self.agents, self.pool_bytes // self.page_bytes)


@dataclass(frozen=True)
class Batch:
    """A pool and the agents' tokens; each wave of slots_WB names other pages, in no order, so that no cache helps."""

    case: Case
    pool_NHS: Tensor
    inputs: list[Tensor]
    slots_WB: Tensor

    @property
    def waves(self) -> int:
        return len(self.slots_WB)


def draw(case: Case) -> Batch:
    """Random states, tokens and slots."""
    waves = min(MOST_WAVES, case.pages // case.agents)
    shape = case.pages, case.heads, case.rule.spec.state_floats(case.extents)
    # bfloat16 at once: a float32 pool beside it might not fit.
    pool_NHS = torch.randn(shape, dtype=case.dtype, device=case.device)
    slots = torch.randperm(case.pages, device=case.device)[: waves * case.agents]
    return Batch(case, pool_NHS, [_draw_input(case, inp) for inp in case.rule.spec.inputs], slots.view(waves, -1))


def _draw_input(case: Case, inp: Input) -> Tensor:
    shape = [case.extents[axis] for axis in inp.axes]
    if inp.kind is Kind.WEIGHT:
        return inp.initialize(torch.empty(shape, device=case.device))
    if inp.kind in (Kind.RATE, Kind.LOG_DECAY):
        rate = torch.rand(case.agents, *shape, device=case.device)
        return rate.log() if inp.kind is Kind.LOG_DECAY else rate
    return torch.randn(case.agents, *shape, device=case.device)


def truth(batch: Batch, reads_B: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs of rows that start from these pages, and their states after, in float64 by the rule's definition."""
    states_BHS, here = batch.pool_NHS[reads_B].double(), torch.arange(len(reads_B), device=reads_B.device)
    inputs = [x.double() for x in batch.inputs]
    y_BHV = batch.case.rule.step(states_BHS, inputs, here, here, backend="naive")
    return y_BHV, states_BHS
