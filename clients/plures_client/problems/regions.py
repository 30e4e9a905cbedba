"""Mazes of many regions: rooms of 9 × 9 cells, joined by doors, with a goal in one of them.

A region is row · columns + column; a cell, within its region, likewise. R regions.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument

SIZE = 9
MIDDLE = SIZE // 2
CENTRE = MIDDLE * SIZE + MIDDLE
DOORS = {(-1, 0): MIDDLE, (1, 0): (SIZE - 1) * SIZE + MIDDLE, (0, -1): MIDDLE * SIZE, (0, 1): MIDDLE * SIZE + SIZE - 1}
"""The cell of a region, by the direction in which its neighbour lies, from which one goes over to it."""


@dataclass(frozen=True)
class Regions:
    """A maze of rows × columns regions, drawn from a seed.

    Its doors make a spanning tree (each region is reached on one way); `walls` is the share of the other cells that are
    walls, drawn so that nothing that mattered is cut off. The goal lies in any region but that of the entrance, 0.
    """

    rows: int = 4
    columns: int = 4
    walls: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1 or self.rows * self.columns < 2:
            raise InvalidArgument(f"a maze of {self.rows} × {self.columns} regions given; it has at least two")
        if not 0 <= self.walls <= 0.4:
            raise InvalidArgument(f"a share of walls of {self.walls} given; it is 0 to 0.4")

    @property
    def count(self) -> int:
        return self.rows * self.columns

    @cached_property
    def doors(self) -> dict[int, dict[int, int]]:
        """For each region its neighbours, and the cell from which one goes over."""
        rng = np.random.default_rng([self.seed, 0])
        doors: dict[int, dict[int, int]] = {region: {} for region in range(self.count)}
        reached, ways = {0}, list(self._ways(0))
        while ways:
            region, other, direction = ways.pop(int(rng.integers(len(ways))))
            if other not in reached:
                reached.add(other)
                doors[region][other] = DOORS[direction]
                doors[other][region] = DOORS[-direction[0], -direction[1]]
                ways.extend(self._ways(other))
        return doors

    @cached_property
    def blocked(self) -> NDArray[np.bool_]:
        """Which cells are walls, [R, 9, 9]."""
        return np.stack([self._room(region) for region in range(self.count)])

    @cached_property
    def goal(self) -> tuple[int, int]:
        """The region and the cell."""
        rng = np.random.default_rng([self.seed, 1])
        region = int(rng.integers(1, self.count))
        free = np.flatnonzero(~self.blocked[region].ravel())
        return region, int(rng.choice(free[(free != CENTRE) & ~np.isin(free, list(DOORS.values()))]))

    def entry(self, region: int, from_region: int | None) -> int:
        """The cell at which one comes in: the door, or the centre of the first region."""
        return CENTRE if from_region is None else self.doors[region][from_region]

    def parameters(self, region: int, start: int, episode: int) -> list[float]:
        """What the task `maze` is given for a visit of a region."""
        rows = (self.blocked[region] << np.arange(SIZE)).sum(axis=1)
        goal = self.goal[1] if self.goal[0] == region else -1
        return [*map(float, rows), float(start), float(goal), float(episode)]

    def distance(self) -> int:
        """Regions on the way from the entrance to the goal, that of the goal included."""
        steps, level, seen = 0, {0}, {0}
        while self.goal[0] not in seen:
            level = {other for region in level for other in self.doors[region]} - seen
            seen |= level
            steps += 1
        return steps

    def _ways(self, region: int) -> list[tuple[int, int, tuple[int, int]]]:
        row, column = divmod(region, self.columns)
        ways = []
        for down, right in DOORS:
            if 0 <= row + down < self.rows and 0 <= column + right < self.columns:
                ways.append((region, (row + down) * self.columns + column + right, (down, right)))
        return ways

    def _room(self, region: int) -> NDArray[np.bool_]:
        """Walls put up one by one, each unless it would cut the room in two, or stand at a door or in the centre."""
        rng = np.random.default_rng([self.seed, 2, region])
        blocked = np.zeros((SIZE, SIZE), np.bool_)
        kept = {CENTRE, *DOORS.values()}
        for cell in rng.permutation(SIZE * SIZE)[: round(self.walls * SIZE * SIZE)]:
            if int(cell) not in kept:
                blocked.flat[cell] = True
                blocked.flat[cell] = is_connected(~blocked)
        return blocked


def is_connected(free: NDArray[np.bool_]) -> bool:
    """Whether one can walk from any free cell to any other."""
    reached = np.zeros_like(free)
    reached.flat[np.flatnonzero(free)[0]] = True
    while True:
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= free
        if (grown == reached).all():
            return bool((reached == free).all())
        reached = grown
