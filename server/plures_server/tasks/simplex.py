"""Black-box minimisation by Nelder and Mead's method: at each step a copy chooses what the simplex does next.

What actions and sights mean is what they mean to the teacher (plures_students.teachers.simplex).
Shapes: B copies, R some of them, D coordinates, V vertices (21; those beyond a function's dimension do not count).
"""

import torch
from plures_kernels import counter
from plures_students.teachers.simplex import (
    ACTIONS,
    BEST,
    INSIDE,
    POOR,
    READY,
    REFLECT,
    SHRINK,
    SIGHTS,
    WAITING,
    Coefficients,
)
from torch import Tensor

from .functions import MOST_DIMENSIONS, Functions
from .ranges import FUNCTION_RANGES, PLACE_RANGE, Range, check_ranges

SMALLEST, LARGEST = 1e-6, 10.0
SIDE_STREAM = 1


class Simplex:
    """Parameters: the function's number, its dimension and instance, whether it is rotated; the first simplex's edges;
    where to start.

    Vertices but the first one lie an edge away from it along each axis, on a side drawn from the seed. A step that
    finds the lowest value yet pays 1. Summary: `best`, by how much that is above the least; `gains`, steps that paid;
    `size`, how far from the best vertex others lie at most in any coordinate; the place of the lowest value.
    """

    observation_space, action_space = SIGHTS, ACTIONS
    parameter_names = (
        "function",
        "dimension",
        "instance",
        "rotated",
        "size",
        *(f"x_{j}" for j in range(MOST_DIMENSIONS)),
    )
    summary_names = ("best", "gains", "size", *(f"x_{j}" for j in range(MOST_DIMENSIONS)))

    def check(self, parameters: Tensor) -> None:
        ranges = *FUNCTION_RANGES, Range(SMALLEST, LARGEST), *[PLACE_RANGE] * MOST_DIMENSIONS
        check_ranges(self.parameter_names, parameters, *ranges)

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> "SimplexEpisode":
        kind_B, dimension_B, instance_B, rotated_B = parameters_BP[:, :4].long().unbind(1)
        functions = Functions(kind_B, dimension_B, instance_B, rotated_B.bool())
        return SimplexEpisode(functions, dimension_B, parameters_BP[:, 4:5], parameters_BP[:, 5:], seed_B)


class SimplexEpisode:
    """Searches under way. A vertex that waits for its value has the value ∞; one that does not count, −∞."""

    def __init__(
        self, functions: Functions, dimension_B: Tensor, edge_B1: Tensor, x_BD: Tensor, seed_B: Tensor
    ) -> None:
        self._functions, self._dimension_B = functions, dimension_B
        count, device = len(seed_B), seed_B.device
        x_BD = x_BD * functions.within_BD
        coordinates_D = torch.arange(MOST_DIMENSIONS, device=device)
        is_up_BD = counter.uniform(seed_B[:, None], coordinates_D, SIDE_STREAM) < 0.5
        edge_BD = torch.where(is_up_BD, edge_B1, -edge_B1) * functions.within_BD
        self._vertices_BVD = torch.cat([x_BD[:, None], x_BD[:, None] + torch.diag_embed(edge_BD)], dim=1)
        self._best_B = functions.values(slice(0, count), x_BD)
        rest_BD = torch.where(functions.within_BD, torch.inf, -torch.inf)
        self._values_BV = torch.cat([self._best_B[:, None], rest_BD], dim=1)
        self._x_BD = x_BD.clone()
        self._held_BD, self._held_B = torch.zeros_like(x_BD), torch.full_like(self._best_B, torch.inf)
        self._sight_B = torch.full_like(self._best_B, WAITING, dtype=torch.int32)
        self._gains_B, self._never_B = (
            torch.zeros_like(self._sight_B),
            torch.zeros_like(self._sight_B, dtype=torch.uint8),
        )
        table = [Coefficients.of(max(dimension, 1)) for dimension in range(MOST_DIMENSIONS + 1)]
        self._away_DA = torch.tensor([[*each.away, 0.0] for each in table], device=device)
        self._shrunk_D = torch.tensor([each.shrunk for each in table], device=device)

    def observation(self, rows: slice) -> Tensor:
        return self._sight_B[rows]

    def step(self, rows: slice, action_R: Tensor, tick: int) -> Tensor:
        waits_R = self._sight_B[rows] == WAITING
        shrinks_R = ~waits_R & (action_R == SHRINK)
        tries_R = ~waits_R & (action_R <= INSIDE)
        self._settle(rows, tries_R & (action_R == REFLECT))
        self._shrink(rows, shrinks_R)
        next_R = (self._values_BV[rows] == torch.inf).to(torch.uint8).argmax(dim=1)
        vertex_RD = self._vertices_BVD[rows][torch.arange(len(next_R), device=next_R.device), next_R]
        place_RD = torch.where(tries_R[:, None], self._trial(rows, action_R), vertex_RD)
        value_R = self._functions.values(rows, place_RD)
        sight_R = torch.where(tries_R, self._hold(rows, tries_R, place_RD, value_R), WAITING)
        self._fill(rows, ~tries_R, next_R, value_R)
        is_ready_R = ~tries_R & ~(self._values_BV[rows] == torch.inf).any(dim=1)
        self._sight_B[rows] = torch.where(is_ready_R, READY, sight_R)
        return self._keep_lowest(rows, place_RD, value_R)

    def ended(self, rows: slice) -> Tensor:
        return self._never_B[rows]

    def summary(self) -> Tensor:
        is_known_BV = self._values_BV.isfinite()
        lowest_B = torch.where(is_known_BV, self._values_BV, torch.inf).argmin(dim=1)
        best_BD = self._vertices_BVD[torch.arange(len(lowest_B), device=lowest_B.device), lowest_B]
        away_BV = (self._vertices_BVD - best_BD[:, None]).abs().amax(dim=2)
        size_B = torch.where(self._values_BV > -torch.inf, away_BV, 0.0).amax(dim=1)
        return torch.cat([torch.stack([self._best_B, self._gains_B.float(), size_B], dim=1), self._x_BD], dim=1)

    def _settle(self, rows: slice, settles_R: Tensor) -> None:
        """What is held takes the worst vertex's place."""
        worst_R = self._values_BV[rows].argmax(dim=1)
        takes_R = settles_R & (self._held_B[rows] < torch.inf)
        self._put(rows, takes_R, worst_R, self._held_BD[rows], self._held_B[rows])
        self._held_B[rows] = torch.where(settles_R, torch.inf, self._held_B[rows])

    def _shrink(self, rows: slice, shrinks_R: Tensor) -> None:
        """All vertices draw near to the best one, and wait for their values; nothing is held any more."""
        vertices_RVD, values_RV = self._vertices_BVD[rows], self._values_BV[rows]
        lowest_R1 = torch.where(values_RV > -torch.inf, values_RV, torch.inf).argmin(dim=1, keepdim=True)
        best_R1D = vertices_RVD.gather(1, lowest_R1[:, :, None].expand(-1, -1, MOST_DIMENSIONS))
        shrunk_R11 = self._shrunk_D[self._dimension_B[rows]][:, None, None]
        drawn_RVD = best_R1D + shrunk_R11 * (vertices_RVD - best_R1D)
        is_other_RV = (values_RV > -torch.inf).scatter(1, lowest_R1, False) & shrinks_R[:, None]
        self._vertices_BVD[rows] = torch.where(is_other_RV[:, :, None], drawn_RVD, vertices_RVD)
        self._values_BV[rows] = torch.where(is_other_RV, torch.inf, values_RV)
        self._held_B[rows] = torch.where(shrinks_R, torch.inf, self._held_B[rows])

    def _trial(self, rows: slice, action_R: Tensor) -> Tensor:
        """From the worst vertex through the centroid of the others, or short of it, [R, D]."""
        vertices_RVD, values_RV = self._vertices_BVD[rows], self._values_BV[rows]
        worst_R1 = values_RV.argmax(dim=1, keepdim=True)
        worst_RD = vertices_RVD.gather(1, worst_R1[:, :, None].expand(-1, -1, MOST_DIMENSIONS))[:, 0]
        counts_RV = (values_RV > -torch.inf).scatter(1, worst_R1, False)
        # One after another: the same bits in any company.
        total_RD = torch.zeros_like(worst_RD)
        for vertex in range(MOST_DIMENSIONS + 1):
            total_RD = total_RD + vertices_RVD[:, vertex] * counts_RV[:, vertex, None]
        centroid_RD = total_RD / self._dimension_B[rows, None]
        away_R1 = self._away_DA[self._dimension_B[rows], action_R.long()][:, None]
        return centroid_RD + away_R1 * (centroid_RD - worst_RD)

    def _hold(self, rows: slice, tries_R: Tensor, place_RD: Tensor, value_R: Tensor) -> Tensor:
        """Hold a trial that is below the worst vertex, and no higher than what is held; what is seen of it, [R]."""
        values_RV = self._values_BV[rows]
        worst_R2 = values_RV.topk(2, dim=1).values
        lowest_R = torch.where(values_RV > -torch.inf, values_RV, torch.inf).amin(dim=1)
        is_good_R = (value_R < worst_R2[:, 0]) & (value_R <= self._held_B[rows])
        holds_R = tries_R & is_good_R
        self._held_BD[rows] = torch.where(holds_R[:, None], place_RD, self._held_BD[rows])
        self._held_B[rows] = torch.where(holds_R, value_R, self._held_B[rows])
        seen_R = BEST + (value_R >= lowest_R).int() + (value_R >= worst_R2[:, 1]).int()
        return torch.where(is_good_R, seen_R, POOR)

    def _fill(self, rows: slice, fills_R: Tensor, vertex_R: Tensor, value_R: Tensor) -> None:
        at_RV = torch.zeros_like(self._values_BV[rows], dtype=torch.bool).scatter(
            1, vertex_R[:, None], fills_R[:, None]
        )
        self._values_BV[rows] = torch.where(at_RV, value_R[:, None], self._values_BV[rows])

    def _put(self, rows: slice, puts_R: Tensor, vertex_R: Tensor, place_RD: Tensor, value_R: Tensor) -> None:
        self._fill(rows, puts_R, vertex_R, value_R)
        at_R1D = vertex_R[:, None, None].expand(-1, 1, MOST_DIMENSIONS)
        old_R1D = self._vertices_BVD[rows].gather(1, at_R1D)
        new_R1D = torch.where(puts_R[:, None, None], place_RD[:, None], old_R1D)
        self._vertices_BVD[rows] = self._vertices_BVD[rows].scatter(1, at_R1D, new_R1D)

    def _keep_lowest(self, rows: slice, place_RD: Tensor, value_R: Tensor) -> Tensor:
        """1 for those that found the lowest value yet, float32 [R]."""
        is_lower_R = value_R < self._best_B[rows]
        self._x_BD[rows] = torch.where(is_lower_R[:, None], place_RD, self._x_BD[rows])
        self._best_B[rows] = torch.where(is_lower_R, value_R, self._best_B[rows])
        self._gains_B[rows] += is_lower_R
        return is_lower_R.float()
