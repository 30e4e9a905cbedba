"""A restless bandit: two of many sources whose chances drift, whoever watches them.

What a source pays at a time is a function of (world, source, time) and of where it stood at a run's beginning: copies
that watch the same source see the same drift. Shapes: B copies, R some of them, A arms.
"""

import math

import torch
from gymnasium.spaces import Discrete
from plures_kernels import counter
from plures_kernels.errors import InvalidArgument
from torch import Tensor

REWARD_STREAM, SOURCE_STREAM, RADIUS_STREAM, ANGLE_STREAM = 1, 2, 3, 4
MOST_WHOLE = 2.0**24
"""Up to here float32 tells whole numbers apart."""


class RestlessBandit:
    """Parameters: each arm's chance now and which source it is; the world, the time now, and the drift a step.

    After each step every chance makes a Gaussian move of that standard deviation, reflected at 0 and 1 (as in Daw et
    al. 2006, Nature 441:876, there with other rewards). Summary: for each arm its pulls and rewards, and both in the
    last half; then the chances of all choices made, summed, and of the best ones.
    """

    def __init__(self, arms: int) -> None:
        self.arms = arms
        self.observation_space = Discrete(1)
        self.action_space = Discrete(arms)
        self.parameter_names = (
            *(f"p_{a}" for a in range(arms)),
            *(f"source_{a}" for a in range(arms)),
            *("world", "time", "drift"),
        )
        counts = ("pulls", "rewards", "late_pulls", "late_rewards")
        self.summary_names = (*(f"{what}_{a}" for a in range(arms) for what in counts), "expected", "possible")

    def check(self, parameters: Tensor) -> None:
        is_share = torch.tensor([name[:2] in ("p_", "dr") for name in self.parameter_names], device=parameters.device)
        in_share = (parameters >= 0) & (parameters <= 1)
        is_whole = (parameters >= 0) & (parameters <= MOST_WHOLE) & (parameters == parameters.floor())
        good = torch.where(is_share, in_share, is_whole)
        if not bool(good.all()):
            row, column = (~good).nonzero()[0].tolist()
            wanted = "between 0 and 1" if is_share[column] else f"a whole number up to {MOST_WHOLE:.0f}"
            name, value = self.parameter_names[column], parameters[row, column].item()
            raise InvalidArgument(f"{name} {value} of row {row} is not {wanted}")

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> "RestlessEpisode":
        return RestlessEpisode(self.arms, parameters_BP, seed_B, steps_B)


class RestlessEpisode:
    """Restless bandits under way."""

    def __init__(self, arms: int, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> None:
        self._chance_BA = parameters_BP[:, :arms].clone()
        world_B, self._time_B = parameters_BP[:, 2 * arms : 2 * arms + 2].long().unbind(1)
        self._drift_B1 = parameters_BP[:, -1:]
        self._source_seed_BA = counter.bits(world_B[:, None], parameters_BP[:, arms : 2 * arms].long(), SOURCE_STREAM)
        self._seed_B, self._late_from_B = seed_B, steps_B // 2
        self._counts_BM = seed_B.new_zeros((len(seed_B), 4 * arms), dtype=torch.int32)
        self._sums_B2 = parameters_BP.new_zeros((len(seed_B), 2))
        self._nothing_B = torch.zeros_like(seed_B, dtype=torch.int32)
        self._never_B = self._nothing_B.to(torch.uint8)

    def observation(self, rows: slice) -> Tensor:
        return self._nothing_B[rows]

    def step(self, rows: slice, action_R: Tensor, tick: int) -> Tensor:
        arm_R1 = action_R.long().unsqueeze(1)
        chance_RA = self._chance_BA[rows]
        chance_R = chance_RA.gather(1, arm_R1).squeeze(1)
        pays_R = counter.uniform(self._seed_B[rows], tick, REWARD_STREAM) < chance_R
        is_late_R = tick >= self._late_from_B[rows]
        seen_R4 = torch.stack([torch.ones_like(pays_R), pays_R, is_late_R, pays_R & is_late_R], dim=1)
        columns_R4 = 4 * arm_R1 + torch.arange(4, device=arm_R1.device)
        self._counts_BM[rows].scatter_add_(1, columns_R4, seen_R4.to(torch.int32))
        self._sums_B2[rows] += torch.stack([chance_R, chance_RA.amax(dim=1)], dim=1)
        self._chance_BA[rows] = drifted(
            chance_RA, self._drift_B1[rows], self._source_seed_BA[rows], self._time_B[rows, None] + tick
        )
        return pays_R.float()

    def ended(self, rows: slice) -> Tensor:
        return self._never_B[rows]

    def summary(self) -> Tensor:
        return torch.cat([self._counts_BM.float(), self._sums_B2], dim=1)


def drifted(chance_RA: Tensor, drift_R1: Tensor, source_seed_RA: Tensor, time_R1: Tensor) -> Tensor:
    """Chances one step later. The Gaussian is Box and Muller's (1958), of two numbers by counter."""
    radius_RA = (-2 * torch.log1p(-counter.uniform(source_seed_RA, time_R1, RADIUS_STREAM))).sqrt()
    angle_RA = 2 * math.pi * counter.uniform(source_seed_RA, time_R1, ANGLE_STREAM)
    moved_RA = (chance_RA + drift_R1 * radius_RA * angle_RA.cos()).abs()
    return torch.where(moved_RA > 1, 2 - moved_RA, moved_RA).clamp(0, 1)
