"""A tree whose leaves pay: a copy learns which of a node's two halves pays more, and asks others to go on there.

Every node below the root adds or takes a share that is drawn for it, so that good leaves lie near each other (as in
hierarchical bandits: Bubeck et al. 2011, JMLR 12:1655). Node 1 is the root, 2n and 2n + 1 are below n.
Shapes: B copies, R some of them, C those who ask.
"""

import torch
from gymnasium.spaces import Discrete
from plures_kernels import counter
from plures_kernels.errors import InvalidArgument
from torch import Tensor

from .base import Asks

MOST_LEVELS = 16
MOST_WHOLE = 2.0**24
MIDDLE, SPREAD, SHRINK = 0.5, 0.7, 0.7
"""What a leaf pays but for its shares; how far apart shares are below the root; how much less so one level further."""
REWARD_STREAM, SHARE_STREAM, LEAF_STREAM = 1, 2, 3
UNSURE = 1 / 6
"""Who chose neither half by so much more than every other time asks about both."""


class Branches:
    """Parameters: the world, the node, and the levels between it and the leaves, of 16 at most in all.

    An action chooses a half, in which a leaf is drawn and pays 1 with its chance. Asks, as many steps each: one about
    the half that was preferred in the last half of the steps, or one about each. Summary: the node, its levels; the
    steps, rewards and late steps of both halves.
    """

    observation_space = Discrete(1)
    action_space = Discrete(2)
    parameter_names = ("world", "node", "levels")
    summary_names = (
        *("node", "levels", "pulls_0", "rewards_0", "late_pulls_0"),
        *("pulls_1", "rewards_1", "late_pulls_1"),
    )

    def check(self, parameters: Tensor) -> None:
        low = torch.tensor([0.0, 1, 1], device=parameters.device)
        high = torch.tensor([MOST_WHOLE, 2.0**MOST_LEVELS - 1, MOST_LEVELS], device=parameters.device)
        good = (parameters >= low) & (parameters <= high) & (parameters == parameters.floor())
        good[:, 2] &= parameters[:, 1] * 2 ** parameters[:, 2] < 2.0 ** (MOST_LEVELS + 1)
        if not bool(good.all()):
            row, column = (~good).nonzero()[0].tolist()
            raise InvalidArgument(
                f"{self.parameter_names[column]} {parameters[row, column].item()} of row {row} is not a whole number "
                f"from {low[column].item():.0f} to {high[column].item():.0f}, or its leaves are too deep"
            )

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> "BranchesEpisode":
        return BranchesEpisode(parameters_BP, seed_B, steps_B)


class BranchesEpisode:
    """Visits of nodes under way."""

    def __init__(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> None:
        self._parameters_BP, self._seed_B, self._steps_B = parameters_BP, seed_B, steps_B
        self._world_B, self._node_B, self._levels_B = parameters_BP.long().unbind(1)
        self._counts_BM = torch.zeros(len(seed_B), 6, dtype=torch.int32, device=seed_B.device)
        self._nothing_B = torch.zeros_like(seed_B, dtype=torch.int32)
        self._never_B = self._nothing_B.to(torch.uint8)

    def observation(self, rows: slice) -> Tensor:
        return self._nothing_B[rows]

    def step(self, rows: slice, action_R: Tensor, tick: int) -> Tensor:
        half_R, further_R = action_R.long(), self._levels_B[rows] - 1
        drawn_R = counter.bits(self._seed_B[rows], tick, LEAF_STREAM) & ((1 << further_R) - 1)
        leaf_R = ((2 * self._node_B[rows] + half_R) << further_R) | drawn_R
        pays_R = counter.uniform(self._seed_B[rows], tick, REWARD_STREAM) < chances(self._world_B[rows], leaf_R)
        is_late_R = tick >= self._steps_B[rows] // 2
        seen_R3 = torch.stack([torch.ones_like(pays_R), pays_R, is_late_R], dim=1).to(torch.int32)
        columns_R3 = 3 * half_R[:, None] + torch.arange(3, device=half_R.device)
        self._counts_BM[rows].scatter_add_(1, columns_R3, seen_R3)
        return pays_R.float()

    def ended(self, rows: slice) -> Tensor:
        return self._never_B[rows]

    def summary(self) -> Tensor:
        return torch.cat([self._parameters_BP[:, 1:], self._counts_BM.float()], dim=1)

    def asks(self) -> Asks | None:
        """About the half that was preferred, by those above the lowest level."""
        late_B2 = self._counts_BM[:, [2, 5]].float()
        share_B1 = late_B2 / late_B2.sum(dim=1, keepdim=True)
        wants_B2 = (share_B1 >= 0.5 - UNSURE) & (self._levels_B[:, None] > 1)
        row_C, half_C = wants_B2.nonzero(as_tuple=True)
        if not len(row_C):
            return None
        below_C = 2 * self._node_B[row_C] + half_C
        asked_C3 = torch.stack([self._world_B[row_C], below_C, self._levels_B[row_C] - 1], dim=1)
        return Asks(row_C, asked_C3.float(), self._steps_B[row_C])


def chances(world_R: Tensor, leaf_R: Tensor) -> Tensor:
    """What leaves pay, float32 [R], all at the same depth or not."""
    total_R, node_R = torch.zeros_like(leaf_R, dtype=torch.float32), leaf_R
    path = []
    for _ in range(MOST_LEVELS):
        path.append(node_R)
        node_R = node_R >> 1
    weight_R = torch.full_like(total_R, SPREAD)
    for node_R in reversed(path):
        is_below_R = node_R > 1
        share_R = counter.uniform(world_R, node_R, SHARE_STREAM) - 0.5
        total_R = total_R + torch.where(is_below_R, weight_R * share_R, 0.0)
        weight_R = torch.where(is_below_R, weight_R * SHRINK, weight_R)
    return (MIDDLE + total_R).clamp(0, 1)
