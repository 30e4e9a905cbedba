"""Random inputs for fast-weight memories, fresh in every run; a failing test prints the seed it drew them from.

B rows (or sequences), H heads, S floats of a head's state, N pages, L layers of a page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from plures_kernels import Input, Kind, Rule
from torch import Tensor

EXTENTS = {"H": 2, "K": 16, "V": 16, "J": 2, "F": 24, "W": 6}

SPECIAL = [0.0, -0.0, torch.inf, -torch.inf, torch.nan, 1e-45, -1e-40, 1.1754944e-38, 3.4028235e38, -3.4028235e38]
# A NaN whose upper half is that of infinity; the numbers right below, at and above the middle between two bfloat16.
PATTERNS = [0x7F800001, -0x7FFFFF, 0x3F807FFF, 0x3F808000, 0x3F808001, 0x3F818000, 0x3F817FFF]

Draw = Callable[..., Any]


@dataclass
class Step:
    """The arguments of one step on a pool that is one layer out of pages of several."""

    rule: Rule
    pages_NLHS: Tensor
    layer: int
    inputs: list[Tensor]
    read_B: Tensor
    write_B: Tensor

    @property
    def pool_NHS(self) -> Tensor:
        return self.pages_NLHS[:, self.layer]

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.pool_NHS, self.inputs, self.read_B, self.write_B

    def copy(self, dtype: torch.dtype) -> "Step":
        inputs = [x.to(dtype) for x in self.inputs]
        return Step(self.rule, self.pages_NLHS.to(dtype, copy=True), self.layer, inputs, self.read_B, self.write_B)

    def rows(self, rows: slice | list[int]) -> "Step":
        """The same rows on a pool of their own."""
        inputs = each_token(self.rule, self.inputs, lambda x: x[rows])
        return Step(self.rule, self.pages_NLHS.clone(), self.layer, inputs, self.read_B[rows], self.write_B[rows])


def each_token(rule: Rule, inputs: list[Tensor], change: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """The inputs with those changed that come with every token; weights stay."""
    pairs = zip(rule.spec.inputs, inputs, strict=True)
    return [x if inp.kind is Kind.WEIGHT else change(x) for inp, x in pairs]


@pytest.fixture
def generator() -> torch.Generator:
    generator = torch.Generator()
    print("seed", generator.seed())
    return generator


def inputs_of(
    generator: torch.Generator, rule: Rule, *leading: int, dtype: torch.dtype = torch.float32, **extents: int
) -> list[Tensor]:
    """The inputs of a rule, tokens with the leading axes given; rows of tokens are slices of wider ones."""
    return [_draw(inp, leading, {**EXTENTS, **extents}, generator, dtype) for inp in rule.spec.inputs]


def state_of(
    generator: torch.Generator, rule: Rule, rows: int, *, dtype: torch.dtype = torch.float32, **extents: int
) -> Tensor:
    """States of so many rows, [B, H, S]."""
    known = {**EXTENTS, **extents}
    return torch.randn(rows, known["H"], rule.spec.state_floats(known), generator=generator, dtype=dtype)


def _draw(
    inp: Input, leading: tuple[int, ...], extents: dict[str, int], generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    shape = [extents[axis] for axis in inp.axes]
    if inp.kind is Kind.WEIGHT:
        weight = inp.initialize(torch.empty(shape, dtype=dtype))
        return weight + 0.1 * torch.randn(shape, generator=generator, dtype=dtype)
    if inp.kind in (Kind.LOG_DECAY, Kind.RATE):
        rate = torch.rand(*leading, *shape, generator=generator, dtype=dtype)
        return rate.log() if inp.kind is Kind.LOG_DECAY else rate
    return torch.randn(*leading, *shape[:-1], shape[-1] + 3, generator=generator, dtype=dtype)[..., : shape[-1]]


@pytest.fixture
def draw_inputs(generator: torch.Generator) -> Draw:
    return partial(inputs_of, generator)


@pytest.fixture
def draw_state(generator: torch.Generator) -> Draw:
    return partial(state_of, generator)


@pytest.fixture
def draw_step(generator: torch.Generator, draw_inputs: Draw) -> Draw:
    """Rows on permuted pages, every third to another page than it read, every fifth skipped; free pages are NaN."""

    def draw(rule: Rule, B: int = 23, L: int = 3, slots: torch.dtype = torch.int64, **extents: int) -> Step:
        known = {**EXTENTS, **extents}
        shape = 2 * B + 1, L, known["H"], rule.spec.state_floats(known)
        pages_NLHS = torch.randn(shape, generator=generator)
        order = torch.randperm(2 * B + 1, generator=generator).to(slots)
        read_B, write_B = order[:B].clone(), order[:B].clone()
        write_B[::3] = order[B : 2 * B : 3]
        write_B[::5], read_B[::5] = -1, -7
        pages_NLHS[order[B:].long()] = torch.nan
        return Step(rule, pages_NLHS, 1, draw_inputs(rule, B, **extents), read_B, write_B)

    return draw


@pytest.fixture
def any_floats(generator: torch.Generator) -> Draw:
    """Float32 of any bit patterns, and among them every special value."""
    patterns = torch.tensor(PATTERNS, dtype=torch.int32).view(torch.float32)
    special = torch.cat([torch.tensor(SPECIAL), patterns])

    def draw(*shape: int) -> Tensor:
        values = torch.randint(-(2**31), 2**31, shape, generator=generator).to(torch.int32).view(torch.float32)
        values.flatten()[: len(special)] = special
        return values

    return draw
