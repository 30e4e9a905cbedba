"""The goal in a maze of many regions: searched everywhere at once, or from the entrance on, by doors that are found.

A region is an item of the task `maze`. I items.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from ..coordinators.problem import Children, Nodes, Results
from ..errors import InvalidArgument
from ..items import Items, seeds
from .regions import CENTRE, SIZE, Regions


@dataclass(frozen=True)
class Found:
    """The goal's region and cell, None when nobody stood on it; the regions on the way there, where that was sought.

    `visits` are the items that were done, `steps` what copies made on them.
    """

    region: int | None
    cell: int | None
    way: tuple[int, ...]
    visits: int
    steps: int
    maze: Regions

    @property
    def is_right(self) -> bool:
        """Whether the goal is there, and the way leads to it from the entrance, door by door."""
        joined = all(there in self.maze.doors[here] for here, there in zip(self.way, self.way[1:], strict=False))
        return (self.region, self.cell) == self.maze.goal and joined and self.way[-1:] in ((), (self.region,))


class GoalSearch:
    """Whoever has a map may split it: each region is searched from its centre for `steps` steps, in episodes.

    Scored by how much was earned: a copy that found the goal goes back to it. For `Map`, `BestOf` and `Vote`.
    """

    def __init__(self, maze: Regions, *, steps: int, episode: int = 40, seed: int = 0) -> None:
        check_visit(steps, episode)
        self.maze, self.steps, self.episode, self.seed = maze, steps, episode, seed

    def split(self) -> Items:
        rows = [self.maze.parameters(region, CENTRE, self.episode) for region in range(self.maze.count)]
        return Items.of("maze", rows, steps=self.steps, seed=self.seed)

    def score(self, results: Results) -> NDArray[np.float32]:
        return results.column("rewards")

    def choice(self, results: Results) -> NDArray[np.int64]:
        """The goal's cell, −1 for a copy that did not find it."""
        return results.column("cell").astype(np.int64)

    def combine(self, results: Results) -> Found:
        regions = np.flatnonzero(results.column("first") > 0)
        region = int(regions[0]) if len(regions) else None
        cell = None if region is None else int(results.column("cell")[region])
        return Found(region, cell, (), len(results), len(results) * self.steps, self.maze)


class Exploration:
    """Nobody has a map: copies that reach a region look for its doors, and ask others to go on behind those they found.

    For `Tree`: a node is one visit of a region; `visits` copies are sent to each. It ends with the level that finds the
    goal, or when no more doors are found.
    """

    def __init__(self, maze: Regions, *, steps: int, visits: int = 2, episode: int = 1000, seed: int = 0) -> None:
        check_visit(steps, episode)
        if visits < 1:
            raise InvalidArgument(f"{visits} visits of each region given; at least one is wanted")
        self.maze, self.steps, self.visits, self.episode, self.seed = maze, steps, visits, episode, seed

    def split(self) -> Items:
        return self._visits([(0, None)])

    def grow(self, level: Nodes) -> Children | None:
        """Visits of the regions behind the doors at which copies have been, but for the one they came in by."""
        if (level.results.column("first") > 0).any():
            return None
        regions = level.items.item.astype(int)
        seen = _seen(level.results)
        asked: dict[int, tuple[int, int]] = {}
        for node, region in enumerate(regions):
            for other, door in self.maze.doors[int(region)].items():
                if seen[node] >> door & 1 and door != level.items.parameters[node, SIZE]:
                    asked.setdefault(other, (node, int(region)))
        if not asked:
            return None
        items = self._visits([(other, region) for other, (_, region) in asked.items()])
        return Children(items, np.repeat([node for node, _ in asked.values()], self.visits))

    def combine(self, levels: Sequence[Nodes]) -> Found:
        visits = sum(len(level.items) for level in levels)
        nodes = np.flatnonzero(levels[-1].results.column("first") > 0)
        if not len(nodes):
            return Found(None, None, (), visits, visits * self.steps, self.maze)
        node = int(nodes[0])
        cell = int(levels[-1].results.column("cell")[node])
        way = _way(levels, node)
        return Found(way[-1], cell, way, visits, visits * self.steps, self.maze)

    def _visits(self, entries: list[tuple[int, int | None]]) -> Items:
        """So many of each region, entered from another; an item's number is its region."""
        region_I = np.repeat([region for region, _ in entries], self.visits)
        rows = [
            self.maze.parameters(region, self.maze.entry(region, before), self.episode) for region, before in entries
        ]
        seed_I = np.concatenate([seeds([self.seed, region], self.visits) for region, _ in entries])
        items = Items.of("maze", np.repeat(rows, self.visits, axis=0), steps=self.steps, seed=seed_I)
        return replace(items, item=region_I.astype(np.uint64))


def check_visit(steps: int, episode: int) -> None:
    if steps < 1 or episode < 1:
        raise InvalidArgument(f"visits of {steps} steps in episodes of {episode} given; both are at least 1")


def _seen(results: Results) -> list[int]:
    """Of each result the cells where the copy has been, as bits of one number."""
    rows = [results.column(f"seen_{row}").astype(int).tolist() for row in range(SIZE)]
    return [reduce(lambda bits, row: bits << SIZE | row, reversed(of_one), 0) for of_one in zip(*rows, strict=True)]


def _way(levels: Sequence[Nodes], node: int) -> tuple[int, ...]:
    """The regions from the root to a node of the last level."""
    way = []
    for level in reversed(levels):
        way.append(int(level.items.item[node]))
        node = int(level.parent[node])
    return tuple(reversed(way))
