"""Random inputs for fast-weight memories, fresh in every run; a failing test prints the seed it drew them from.

B rows (or sequences), T time, H heads, K key channels, V value channels, N pages, L layers of a page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

DrawStep = Callable[..., "Step"]
DrawSequences = Callable[..., list[Tensor]]


@dataclass
class Step:
    """The arguments of one step on a pool that is one layer out of pages of several."""

    pages_NLHVK: Tensor
    layer: int
    tokens: list[Tensor]
    read_B: Tensor
    write_B: Tensor

    @property
    def pool_NHVK(self) -> Tensor:
        return self.pages_NLHVK[:, self.layer]

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.pool_NHVK, *self.tokens, self.read_B, self.write_B

    def copy(self, dtype: torch.dtype) -> "Step":
        tokens = [x.to(dtype) for x in self.tokens]
        return Step(self.pages_NLHVK.to(dtype, copy=True), self.layer, tokens, self.read_B, self.write_B)

    def rows(self, rows: slice | list[int]) -> "Step":
        """The same rows on a pool of their own."""
        tokens = [x[rows] for x in self.tokens]
        return Step(self.pages_NLHVK.clone(), self.layer, tokens, self.read_B[rows], self.write_B[rows])


@pytest.fixture
def generator() -> torch.Generator:
    generator = torch.Generator()
    print("seed", generator.seed())
    return generator


@pytest.fixture
def draw_tokens(generator: torch.Generator) -> DrawSequences:
    """q, k, v, log_decay, beta with the leading axes given; q, k and v are views of one projection."""

    def draw(*leading: int, K: int, V: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        q, k, v = torch.randn(*leading, 2 * K + V, generator=generator, dtype=dtype).split([K, K, V], dim=-1)
        gates = torch.rand(2, *leading, generator=generator, dtype=dtype)
        return [q, k, v, gates[0].log(), gates[1]]

    return draw


@pytest.fixture
def draw_step(generator: torch.Generator, draw_tokens: DrawSequences) -> DrawStep:
    """Rows on permuted pages, every third to another page than it read, every fifth skipped; free pages are NaN."""

    def draw(B: int = 23, H: int = 2, V: int = 16, K: int = 16, L: int = 3, slots: torch.dtype = torch.int64) -> Step:
        pages_NLHVK = torch.randn(2 * B + 1, L, H, V, K, generator=generator)
        order = torch.randperm(2 * B + 1, generator=generator).to(slots)
        read_B, write_B = order[:B].clone(), order[:B].clone()
        write_B[::3] = order[B : 2 * B : 3]
        write_B[::5], read_B[::5] = -1, -7
        pages_NLHVK[order[B:].long()] = torch.nan
        return Step(pages_NLHVK, 1, draw_tokens(B, H, K=K, V=V), read_B, write_B)

    return draw
