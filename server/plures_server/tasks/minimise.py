"""Black-box minimisation: at each step a copy chooses how far to leap from the best place it knows.

Which leaps pay changes as a search comes closer, so the copy must go on learning: adaptive operator selection by a
bandit (Fialho, Da Costa, Schoenauer & Sebag 2010), with credit that is paid as 0 or 1, as bandits pay.
Shapes: B copies, R some of them, D coordinates, A leaps.
"""

import torch
from gymnasium.spaces import Discrete
from plures_kernels import counter
from torch import Tensor

from .functions import MOST_DIMENSIONS, Functions, normal
from .ranges import FUNCTION_RANGES, PLACE_RANGE, check_ranges

LEAPS = 5
LONGEST, RATIO = 5.0, 0.25
"""The root of the expected square length of leap 0, and how much shorter the next one is."""
FADING = 0.9
"""What is left, a step later, of the gain that credit is measured by."""
CREDIT_STREAM, COORDINATE_STREAM = 1, 2


class Minimise:
    """Parameters: the function's number, its dimension and instance, whether it is rotated; where to start.

    Action a leaps from the best place yet by a Gaussian of length about 5 / 4^a; the copy goes there if that is better.
    A leap that gains pays 1 with probability gain / (largest gain of late), else 0. Summary: `best`, by how much the
    best value is above the least; `gains`, the leaps that gained; the best place.
    """

    observation_space = Discrete(1)
    action_space = Discrete(LEAPS)
    parameter_names = ("function", "dimension", "instance", "rotated", *(f"x_{j}" for j in range(MOST_DIMENSIONS)))
    summary_names = ("best", "gains", *(f"x_{j}" for j in range(MOST_DIMENSIONS)))

    def check(self, parameters: Tensor) -> None:
        check_ranges(self.parameter_names, parameters, *FUNCTION_RANGES, *[PLACE_RANGE] * MOST_DIMENSIONS)

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> "MinimiseEpisode":
        kind_B, dimension_B, instance_B, rotated_B = parameters_BP[:, :4].long().unbind(1)
        functions = Functions(kind_B, dimension_B, instance_B, rotated_B.bool())
        return MinimiseEpisode(functions, parameters_BP[:, 4:], seed_B)


class MinimiseEpisode:
    """Searches under way."""

    def __init__(self, functions: Functions, x_BD: Tensor, seed_B: Tensor) -> None:
        self._functions = functions
        self._x_BD = x_BD * functions.within_BD
        self._best_B = functions.values(slice(0, len(x_BD)), self._x_BD)
        self._gain_B = torch.zeros_like(self._best_B)
        self._gains_B = torch.zeros_like(seed_B, dtype=torch.int32)
        self._seed_B = seed_B
        coordinates_D = torch.arange(MOST_DIMENSIONS, device=seed_B.device)
        self._coordinate_seed_BD = counter.bits(seed_B[:, None], coordinates_D, COORDINATE_STREAM)
        within_B1 = functions.within_BD.sum(dim=1, keepdim=True)
        self._unit_BD = LONGEST * functions.within_BD / within_B1.float().sqrt()
        self._shrink_A = RATIO ** torch.arange(LEAPS, device=seed_B.device)
        self._nothing_B = torch.zeros_like(self._gains_B)
        self._never_B = self._nothing_B.to(torch.uint8)

    def observation(self, rows: slice) -> Tensor:
        return self._nothing_B[rows]

    def step(self, rows: slice, action_R: Tensor, tick: int) -> Tensor:
        length_RD = self._unit_BD[rows] * self._shrink_A[action_R.long()][:, None]
        there_RD = self._x_BD[rows] + length_RD * normal(self._coordinate_seed_BD[rows], tick)
        value_R = self._functions.values(rows, there_RD)
        gain_R = (self._best_B[rows] - value_R).clamp(min=0)
        is_better_R = gain_R > 0
        self._x_BD[rows] = torch.where(is_better_R[:, None], there_RD, self._x_BD[rows])
        self._best_B[rows] = torch.where(is_better_R, value_R, self._best_B[rows])
        self._gains_B[rows] += is_better_R
        self._gain_B[rows] = torch.maximum(gain_R, FADING * self._gain_B[rows])
        draw_R = counter.uniform(self._seed_B[rows], tick, CREDIT_STREAM)
        return (draw_R * self._gain_B[rows] < gain_R).float()

    def ended(self, rows: slice) -> Tensor:
        return self._never_B[rows]

    def summary(self) -> Tensor:
        return torch.cat([self._best_B[:, None], self._gains_B[:, None].float(), self._x_BD], dim=1)
