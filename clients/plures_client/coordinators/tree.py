"""Tree: items whose results say which items come next."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..aio.cohort import AsyncCohort
from ..errors import InvalidArgument
from ..items import Items
from .problem import Branching, Children, Nodes
from .strategy import Queued, at_least
from .workshop import Workshop

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Tree(Queued):
    """Level by level until nobody asks any more: at most `depth` levels below the roots, and `most` nodes in all.

    A problem that asks for more is stopped with InvalidArgument: errors grow with depth, and costs with breadth.
    """

    depth: int = 16
    most: int = 100_000

    def __post_init__(self) -> None:
        at_least("depth", self.depth, 0)
        at_least("most", self.most, 1)

    async def solve(self, cohort: AsyncCohort, problem: Branching[Answer]) -> Answer:
        """The answer of the whole tree; raises what `Workshop.do` raises."""
        roots = problem.split()
        asked: Children | None = Children(roots, np.full(len(roots), -1))
        levels: list[Nodes] = []
        async with self.workshop(cohort) as workshop:
            while asked is not None and len(asked.items):
                self._check(len(levels), sum(len(level.items) for level in levels) + len(asked.items))
                levels.append(await _lived(workshop, asked, len(levels)))
                asked = problem.grow(levels[-1])
        return problem.combine(levels)

    def _check(self, depth: int, nodes: int) -> None:
        if depth > self.depth:
            raise InvalidArgument(f"the problem asks beyond {self.depth} levels; allow a greater depth, or let it end")
        if nodes > self.most:
            raise InvalidArgument(f"the problem asks for {nodes:,} nodes; at most {self.most:,} are allowed")


async def _lived(workshop: Workshop, asked: Children, depth: int) -> Nodes:
    items: Items = asked.items
    results = await workshop.do(f"level {depth}", items)
    return Nodes(items, results, asked.parent, depth)
