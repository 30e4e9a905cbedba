"""The best leaf of a tree, when copies can tell but two halves of a node apart, and ask each other about the rest.

N results, M leaves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..coordinators.problem import Results
from ..counter import uniform
from ..errors import InvalidArgument
from ..items import Items

MOST_LEVELS = 16
SHARE_STREAM = 2
MIDDLE, SPREAD, SHRINK = 0.5, 0.7, 0.7
"""As the server's task `branches` makes its leaves pay."""
SIGMAS = 6.0


@dataclass(frozen=True)
class Leaf:
    """The leaf that was chosen, what it and the best of all `leaves` pay, and what copies saw of it.

    `asked` are the visits that came of those `begun`; `orphans` those of nodes whose node above nobody visited.
    """

    leaf: int
    chance: float
    best: float
    pulls: int
    rewards: int
    leaves: int
    begun: int
    asked: int
    orphans: int

    @property
    def quality(self) -> float:
        return self.chance / self.best

    @property
    def is_right(self) -> bool:
        """Whether the leaf pays as copies saw it pay, and nobody was there unasked."""
        spread = max(self.pulls * self.chance * (1 - self.chance), 1) ** 0.5
        return self.orphans == 0 and abs(self.rewards - self.pulls * self.chance) <= SIGMAS * spread


class Branches:
    """2^levels leaves; `visits` copies begin at the root, and each visit of a node takes `steps` steps.

    For `Asking`. The leaf that paid best is chosen, as if two more pulls had paid what leaves pay on average.
    """

    def __init__(self, *, levels: int, visits: int, steps: int, seed: int = 0) -> None:
        if not 1 <= levels <= MOST_LEVELS or visits < 1 or steps < 1 or not 0 <= seed <= 2**24:
            raise InvalidArgument(
                f"{levels} levels, {visits} visits, {steps} steps, seed {seed} given; they are 1 to {MOST_LEVELS}, "
                "at least 1, at least 1, and 0 to 2²⁴"
            )
        self.levels, self.visits, self.steps, self.seed = levels, visits, steps, seed

    def split(self) -> Items:
        rows = np.tile([self.seed, 1, self.levels], (self.visits, 1))
        return Items.of("branches", rows, steps=self.steps, seed=self.seed)

    def chances(self) -> NDArray[np.float64]:
        """What all leaves pay, [M]."""
        leaves = np.arange(2**self.levels, 2 ** (self.levels + 1))
        total = np.full(len(leaves), MIDDLE)
        for depth in range(1, self.levels + 1):
            nodes = leaves >> (self.levels - depth)
            total += SPREAD * SHRINK ** (depth - 1) * (uniform(self.seed, nodes, SHARE_STREAM) - 0.5)
        return total.clip(0, 1)

    def combine(self, results: Results) -> Leaf:
        node_N, level_N = (results.column(name).astype(np.int64) for name in ("node", "levels"))
        lowest_N = level_N == 1
        counts = np.zeros((2, 2**self.levels), np.int64)
        for half in (0, 1):
            place = 2 * node_N[lowest_N] + half - 2**self.levels
            for row, what in enumerate(("pulls", "rewards")):
                np.add.at(counts[row], place, results.column(f"{what}_{half}")[lowest_N].astype(np.int64))
        pulls, rewards = counts
        average = (rewards.sum() + 1) / (pulls.sum() + 2)
        chosen = int(((rewards + 2 * average) / (pulls + 2)).argmax())
        chances = self.chances()
        visited = set(node_N.tolist())
        orphans = sum(node > 1 and node // 2 not in visited for node in visited)
        return Leaf(
            leaf=chosen,
            chance=float(chances[chosen]),
            best=float(chances.max()),
            pulls=int(pulls[chosen]),
            rewards=int(rewards[chosen]),
            leaves=len(chances),
            begun=self.visits,
            asked=len(results) - self.visits,
            orphans=orphans,
        )
