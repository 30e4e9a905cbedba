"""Functions to be minimised, as those of BBOB (Hansen et al. 2009, INRIA RR-6829), without its bends and noise.

Each has its least value, 0, at a place drawn from its instance's number, and may be turned by a rotation drawn alike.
Shapes: B functions, R some of them, D coordinates (20; those beyond a function's dimension are 0), U instances.
"""

import math
from collections.abc import Callable

import torch
from plures_kernels import counter
from torch import Tensor

MOST_DIMENSIONS = 20
NAMES = ("sphere", "ellipsoid", "rastrigin", "rosenbrock")
FARTHEST = 4.0
"""Least places lie within this distance of 0 in each coordinate."""
PLACE_STREAM, RADIUS_STREAM, ANGLE_STREAM = 1, 2, 3


class Functions:
    """B functions. kind, dimension, instance: int64 [B]; rotated: bool [B].

    Coordinates are summed one after another: a value is the same bits in any company.
    """

    def __init__(self, kind_B: Tensor, dimension_B: Tensor, instance_B: Tensor, rotated_B: Tensor) -> None:
        places_D = torch.arange(MOST_DIMENSIONS, device=kind_B.device)
        self.within_BD = places_D < dimension_B[:, None]
        self._kind_B, self._dimension_B = kind_B, dimension_B
        self._kinds = sorted(set(kind_B.tolist()))
        keys_B3 = torch.stack([instance_B, dimension_B, rotated_B.long()], dim=1)
        keys_U3, self._instance_B = torch.unique(keys_B3, dim=0, return_inverse=True)
        made = [_instance(*key) for key in keys_U3.tolist()]
        self._place_UD = torch.stack([place_D for place_D, _ in made]).to(kind_B.device)
        self._rotation_UDD = torch.stack([rotation_DD for _, rotation_DD in made]).to(kind_B.device)
        exponent_BD = (6 * places_D / (dimension_B[:, None] - 1)).clamp(max=6)
        self._weight_BD = torch.pow(10.0, exponent_BD.double()).float() * self.within_BD

    def values(self, rows: slice, x_RD: Tensor) -> Tensor:
        """How far each function's value at its x is above its least, float32 [R]."""
        of_R = self._instance_B[rows]
        from_place_RD = (x_RD - self._place_UD[of_R]) * self.within_BD[rows]
        rotation_RDD = self._rotation_UDD[of_R]
        z_RD = torch.zeros_like(x_RD)
        for column in range(MOST_DIMENSIONS):
            z_RD = z_RD + rotation_RDD[:, :, column] * from_place_RD[:, column : column + 1]
        value_R = x_RD.new_zeros(len(x_RD))
        for kind in self._kinds:
            found_R = _VALUES[kind](self, rows, z_RD)
            value_R = torch.where(self._kind_B[rows] == kind, found_R, value_R)
        return value_R

    def _sphere(self, rows: slice, z_RD: Tensor) -> Tensor:
        return _summed(z_RD.square())

    def _ellipsoid(self, rows: slice, z_RD: Tensor) -> Tensor:
        return _summed(self._weight_BD[rows] * z_RD.square())

    def _rastrigin(self, rows: slice, z_RD: Tensor) -> Tensor:
        # A coordinate beyond the dimension is 0 and adds nothing.
        return _summed(10 * (1 - torch.cos(2 * math.pi * z_RD)) + z_RD.square())

    def _rosenbrock(self, rows: slice, z_RD: Tensor) -> Tensor:
        stretch_R1 = (self._dimension_B[rows].float().sqrt() / 8).clamp(min=1)[:, None]
        w_RD = stretch_R1 * z_RD + 1
        before_RD, after_RD = w_RD[:, :-1], w_RD[:, 1:]
        terms_RD = 100 * (before_RD.square() - after_RD).square() + (before_RD - 1).square()
        return _summed(terms_RD * self.within_BD[rows, 1:])


_VALUES: tuple[Callable[[Functions, slice, Tensor], Tensor], ...] = (
    Functions._sphere,
    Functions._ellipsoid,
    Functions._rastrigin,
    Functions._rosenbrock,
)


def _summed(terms_RD: Tensor) -> Tensor:
    total_R = terms_RD[:, 0]
    for term_R in terms_RD.unbind(1)[1:]:
        total_R = total_R + term_R
    return total_R


def _instance(instance: int, dimension: int, rotated: int) -> tuple[Tensor, Tensor]:
    """Where the function is least [D], and its rotation [D, D]: as many reflections (Householder) as dimensions."""
    seed_1, numbers = torch.tensor([instance]), torch.arange(MOST_DIMENSIONS * MOST_DIMENSIONS)
    place_D = FARTHEST * (2 * counter.uniform(seed_1, numbers[:MOST_DIMENSIONS], PLACE_STREAM) - 1)
    rotation_DD = torch.eye(MOST_DIMENSIONS, dtype=torch.float64)
    normals_DD = normal(seed_1, numbers).double().view(MOST_DIMENSIONS, MOST_DIMENSIONS)
    for normal_D in normals_DD[: dimension * rotated, :dimension]:
        across_D = normal_D @ rotation_DD[:dimension]
        rotation_DD[:dimension] -= torch.outer(2 * normal_D / normal_D.square().sum(), across_D)
    return place_D, rotation_DD.float()


def normal(seed: Tensor, step: Tensor | int) -> Tensor:
    """Standard normal numbers, by counter: Box and Muller's (1958), float32."""
    radius = (-2 * torch.log1p(-counter.uniform(seed, step, RADIUS_STREAM))).sqrt()
    return radius * torch.cos(2 * math.pi * counter.uniform(seed, step, ANGLE_STREAM))
