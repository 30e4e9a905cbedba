"""A Bernoulli bandit: arm a pays 1 with a fixed probability. The player sees nothing but the rewards.

Shapes: B copies, R some of them, A arms.
"""

import torch
from gymnasium.spaces import Discrete
from plures_kernels import counter
from plures_kernels.errors import InvalidArgument
from torch import Tensor

REWARD_STREAM = 1


class Bandit:
    """Parameters: each arm's probability. Summary: for each arm its pulls, its rewards, its pulls in the last half."""

    def __init__(self, arms: int) -> None:
        self.arms = arms
        self.observation_space = Discrete(1)
        self.action_space = Discrete(arms)
        self.parameter_names = tuple(f"p_{a}" for a in range(arms))
        self.summary_names = tuple(f"{what}_{a}" for a in range(arms) for what in ("pulls", "rewards", "late_pulls"))

    def check(self, parameters: Tensor) -> None:
        good = (parameters >= 0) & (parameters <= 1)
        if not bool(good.all()):
            row, arm = (~good).nonzero()[0].tolist()
            raise InvalidArgument(f"p_{arm} {parameters[row, arm].item()} of row {row} is not a probability")

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> "BanditEpisode":
        return BanditEpisode(parameters_BP, seed_B, steps_B)


class BanditEpisode:
    """Bandits under way."""

    def __init__(self, probability_BA: Tensor, seed_B: Tensor, steps_B: Tensor) -> None:
        self._probability_BA = probability_BA
        self._seed_B = seed_B
        self._late_from_B = steps_B // 2
        # Interleaved as the summary's columns are: pulls, rewards, late pulls of arm 0, then of arm 1, ….
        # Whole numbers: a float32 stops counting at 2^24.
        self._counts_BM = seed_B.new_zeros((len(seed_B), 3 * probability_BA.shape[1]), dtype=torch.int32)
        self._nothing_B = torch.zeros(len(probability_BA), dtype=torch.int32, device=probability_BA.device)
        self._never_B = self._nothing_B.to(torch.uint8)

    def observation(self, rows: slice) -> Tensor:
        return self._nothing_B[rows]

    def step(self, rows: slice, action_R: Tensor, tick: int) -> Tensor:
        arm_R1 = action_R.long().unsqueeze(1)
        chance_R = self._probability_BA[rows].gather(1, arm_R1).squeeze(1)
        pays_R = counter.uniform(self._seed_B[rows], tick, REWARD_STREAM) < chance_R
        is_late_R = tick >= self._late_from_B[rows]
        seen_R3 = torch.stack([torch.ones_like(pays_R), pays_R, is_late_R], dim=1).to(torch.int32)
        columns_R3 = 3 * arm_R1 + torch.arange(3, device=arm_R1.device)
        self._counts_BM[rows].scatter_add_(1, columns_R3, seen_R3)
        return pays_R.float()

    def ended(self, rows: slice) -> Tensor:
        return self._never_B[rows]

    def summary(self) -> Tensor:
        return self._counts_BM.float()
