"""A room of 9 × 9 cells in the dark, with walls: a region of a maze. Its goal is felt only by standing on it.

Without walls it is the dark room that teachers live in (`plures lives record --world dark_room`).
Shapes: B copies, R some of them.
"""

import torch
from gymnasium.spaces import Discrete
from plures_kernels.errors import InvalidArgument
from torch import Tensor

SIZE = 9
CELLS = SIZE * SIZE
_ROW_MOVES, _COLUMN_MOVES = (0, -1, 1, 0, 0), (0, 0, 0, -1, 1)
"""Of the actions: stay, up, down, left, right."""


class Maze:
    """Parameters: nine rows of walls, the cells of start and goal, and the steps after which a copy is put back.

    `walls_i`: bit j is set when column j of row i is a wall. A cell is row · 9 + column; goal −1: there is none.
    Each step that ends on the goal pays 1. Summary: `first`, the step that first did (from 1; 0: none), and `cell`,
    where (−1: nowhere); rewards, rewards in the last half; `seen_i`, as the walls: where the copy has been.
    """

    observation_space = Discrete(CELLS)
    action_space = Discrete(5)
    parameter_names = (*(f"walls_{row}" for row in range(SIZE)), "start", "goal", "episode")
    summary_names = ("first", "cell", "rewards", "late_rewards", *(f"seen_{row}" for row in range(SIZE)))

    def check(self, parameters: Tensor) -> None:
        low = torch.tensor([0.0] * SIZE + [0, -1, 1], device=parameters.device)
        high = torch.tensor([2.0**SIZE - 1] * SIZE + [CELLS - 1, CELLS - 1, 2.0**24], device=parameters.device)
        good = (parameters >= low) & (parameters <= high) & (parameters == parameters.floor())
        if not bool(good.all()):
            row, column = (~good).nonzero()[0].tolist()
            raise InvalidArgument(
                f"{self.parameter_names[column]} {parameters[row, column].item()} of row {row} is not a whole number "
                f"from {low[column].item():.0f} to {high[column].item():.0f}"
            )
        walls_B9 = parameters[:, :SIZE].long()
        for name, cell_B in (("start", parameters[:, SIZE].long()), ("goal", parameters[:, SIZE + 1].long())):
            blocked_B = (cell_B >= 0) & _has(walls_B9, cell_B.clamp(min=0))
            if bool(blocked_B.any()):
                row = int(blocked_B.nonzero()[0])
                raise InvalidArgument(f"{name} {cell_B[row].item()} of row {row} is within a wall")

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> "MazeEpisode":
        return MazeEpisode(parameters_BP.long(), steps_B)


class MazeEpisode:
    """Rooms under way."""

    def __init__(self, parameters_BP: Tensor, steps_B: Tensor) -> None:
        self._walls_B9, self._seen_B9 = parameters_BP[:, :SIZE], torch.zeros_like(parameters_BP[:, :SIZE])
        self._start_B, self._goal_B, self._episode_B = parameters_BP[:, SIZE:].unbind(1)
        self._late_from_B = steps_B // 2
        self._cell_B = self._start_B.clone()
        self._ended_B = torch.zeros_like(self._cell_B, dtype=torch.uint8)
        self._first_B, self._rewards_B2 = torch.zeros_like(self._cell_B), self._cell_B.new_zeros(len(steps_B), 2)
        self._moves_A2 = torch.tensor([_ROW_MOVES, _COLUMN_MOVES], device=steps_B.device).T
        _add(self._seen_B9, self._cell_B)

    def observation(self, rows: slice) -> Tensor:
        return self._cell_B[rows].to(torch.int32)

    def step(self, rows: slice, action_R: Tensor, tick: int) -> Tensor:
        cell_R = self._moved(rows, action_R)
        _add(self._seen_B9[rows], cell_R)
        pays_R = cell_R == self._goal_B[rows]
        first_R = self._first_B[rows]
        first_R[pays_R & (first_R == 0)] = tick + 1
        self._rewards_B2[rows] += torch.stack([pays_R, pays_R & (tick >= self._late_from_B[rows])], dim=1)
        is_over_R = (tick + 1) % self._episode_B[rows] == 0
        self._ended_B[rows] = is_over_R.to(torch.uint8)
        self._cell_B[rows] = torch.where(is_over_R, self._start_B[rows], cell_R)
        return pays_R.float()

    def ended(self, rows: slice) -> Tensor:
        return self._ended_B[rows]

    def summary(self) -> Tensor:
        where_B = torch.where(self._first_B > 0, self._goal_B, -1)
        return torch.cat([torch.stack([self._first_B, where_B], dim=1), self._rewards_B2, self._seen_B9], dim=1).float()

    def _moved(self, rows: slice, action_R: Tensor) -> Tensor:
        cell_R = self._cell_B[rows]
        move_R2 = self._moves_A2[action_R.long()]
        row_R = (cell_R // SIZE + move_R2[:, 0]).clamp(0, SIZE - 1)
        column_R = (cell_R % SIZE + move_R2[:, 1]).clamp(0, SIZE - 1)
        there_R = row_R * SIZE + column_R
        return torch.where(_has(self._walls_B9[rows], there_R), cell_R, there_R)


def _has(bits_R9: Tensor, cell_R: Tensor) -> Tensor:
    """Whether the cell's bit is set, [R]."""
    row_R = bits_R9.gather(1, (cell_R // SIZE).unsqueeze(1)).squeeze(1)
    return (row_R >> (cell_R % SIZE)) & 1 == 1


def _add(bits_R9: Tensor, cell_R: Tensor) -> None:
    """Set the cell's bit in place."""
    row_R1 = (cell_R // SIZE).unsqueeze(1)
    bit_R1 = (1 << (cell_R % SIZE)).unsqueeze(1)
    bits_R9.scatter_(1, row_R1, bits_R9.gather(1, row_R1) | bit_R1)
