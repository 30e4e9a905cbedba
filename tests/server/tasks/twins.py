"""The tasks once more, one copy at a time, in plain Python: what the vectorised ones are held against."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from plures_kernels import counter
from plures_students.teachers.worlds import DarkRoom, DarkRoomPlaces

Real = NDArray[np.float64]


def draw(seed: int, step: int, stream: int) -> float:
    return float(counter.uniform(torch.tensor([seed]), step, stream)[0])


def bits(seed: int, step: int, stream: int) -> int:
    return int(counter.bits(torch.tensor([seed]), step, stream)[0])


def gaussian(seed: int, step: int, radius_stream: int, angle_stream: int) -> float:
    radius = math.sqrt(-2 * math.log1p(-draw(seed, step, radius_stream)))
    return radius * math.cos(2 * math.pi * draw(seed, step, angle_stream))


class Maze:
    """A walk on a drawing: '#' are walls, 'S' the start, 'G' the goal."""

    def __init__(self, drawing: Sequence[str], episode: int) -> None:
        self.drawing, self.episode = drawing, episode
        cells = {self.drawing[row][column]: (row, column) for row in range(9) for column in range(9)}
        self.start, self.goal = cells["S"], cells.get("G")
        self.place, self.seen, self.steps, self.paid = self.start, {self.start}, 0, []

    @property
    def parameters(self) -> list[int]:
        walls = [sum(1 << column for column in range(9) if row[column] == "#") for row in self.drawing]
        goal = -1 if self.goal is None else self.goal[0] * 9 + self.goal[1]
        return [*walls, self.start[0] * 9 + self.start[1], goal, self.episode]

    @property
    def observation(self) -> int:
        return self.place[0] * 9 + self.place[1]

    def step(self, action: int) -> tuple[float, bool]:
        down, right = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)][action]
        row, column = self.place[0] + down, self.place[1] + right
        if 0 <= row < 9 and 0 <= column < 9 and self.drawing[row][column] != "#":
            self.place = (row, column)
        self.seen.add(self.place)
        self.paid.append(float(self.place == self.goal))
        self.steps += 1
        is_over = self.steps % self.episode == 0
        if is_over:
            self.place = self.start
        return self.paid[-1], is_over

    def summary(self) -> list[float]:
        first = self.paid.index(1.0) + 1 if 1.0 in self.paid else 0
        where = self.goal[0] * 9 + self.goal[1] if first and self.goal else -1
        late = sum(self.paid[len(self.paid) // 2 :])
        seen = [sum(1 << column for row, column in self.seen if row == each) for each in range(9)]
        return [first, where, sum(self.paid), late, *seen]


class Restless:
    """Two sources of a world, from some time on."""

    def __init__(self, parameters: Sequence[float], seed: int, steps: int) -> None:
        self.chance = [float(p) for p in parameters[:2]]
        self.sources, (self.world, self.time) = parameters[2:4], (int(x) for x in parameters[4:6])
        self.drift, self.seed, self.steps, self.step_number = float(parameters[6]), seed, steps, 0
        self.counts, self.sums = np.zeros((2, 4)), np.zeros(2)

    def step(self, action: int) -> float:
        pays = draw(self.seed, self.step_number, 1) < self.chance[action]
        is_late = self.step_number >= self.steps // 2
        self.counts[action] += [1, pays, is_late, pays and is_late]
        self.sums += [self.chance[action], max(self.chance)]
        for arm, source in enumerate(self.sources):
            moved = gaussian(bits(self.world, int(source), 2), self.time + self.step_number, 3, 4)
            there = abs(self.chance[arm] + self.drift * moved)
            self.chance[arm] = min(max(2 - there if there > 1 else there, 0.0), 1.0)
        self.step_number += 1
        return float(pays)


def least_place(instance: int) -> Real:
    return np.array([4 * (2 * draw(instance, j, 1) - 1) for j in range(20)])


def rotation(instance: int, dimension: int) -> Real:
    """The product of the reflections, written out as matrices."""
    turned = np.eye(dimension)
    for k in range(dimension):
        normal = np.array([gaussian(instance, 20 * k + j, 2, 3) for j in range(dimension)])
        turned = (np.eye(dimension) - 2 * np.outer(normal, normal) / (normal @ normal)) @ turned
    return turned


def value(function: str, z: Real) -> float:
    """As the textbook has them."""
    d = len(z)
    if function == "sphere":
        return float(z @ z)
    if function == "ellipsoid":
        return float(sum(10 ** (6 * i / (d - 1)) * z[i] ** 2 for i in range(d)))
    if function == "rastrigin":
        return float(10 * d + sum(z[i] ** 2 - 10 * math.cos(2 * math.pi * z[i]) for i in range(d)))
    w = max(1, math.sqrt(d) / 8) * z + 1
    return float(sum(100 * (w[i + 1] - w[i] ** 2) ** 2 + (1 - w[i]) ** 2 for i in range(d - 1)))


def dark_room(goal: int) -> DarkRoomPlaces:
    return DarkRoomPlaces(DarkRoom(), np.array([goal]))
