"""What a goal search finds by luck: the chance of who walks at random, computed. C cells."""

import numpy as np
from numpy.typing import NDArray

from .regions import CENTRE, SIZE, Regions

MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
"""As likely as each other; walls hold."""


def luck(maze: Regions, steps: int, episode: int) -> float:
    """The chance to stand on the goal within `steps` steps from its region's centre, set back after an episode."""
    region, goal = maze.goal
    walk_CC = _walk(maze.blocked[region])
    at_C = np.eye(SIZE * SIZE)[CENTRE]
    found = 0.0
    for step in range(1, steps + 1):
        at_C = at_C @ walk_CC
        found += float(at_C[goal])
        at_C[goal] = 0
        if step % episode == 0:
            at_C = np.eye(SIZE * SIZE)[CENTRE] * at_C.sum()
    return found


def _walk(blocked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The chance of each step, from cell to cell."""
    walk_CC = np.zeros((SIZE * SIZE, SIZE * SIZE))
    for here, (row, column) in enumerate(np.ndindex(SIZE, SIZE)):
        for down, right in MOVES:
            there = min(max(row + down, 0), SIZE - 1), min(max(column + right, 0), SIZE - 1)
            walk_CC[here, here if blocked[there] else there[0] * SIZE + there[1]] += 1 / len(MOVES)
    return walk_CC
