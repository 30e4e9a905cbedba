"""Duels: what copies are asked in one round of the search for the best arm. Nothing here talks to a server.

K arms, D duels of one round, F arms still in.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..coordinators.schedule import Schedule
from ..items import Items

Arms = NDArray[np.int64]

SHORTEST, LONGEST = 16, 128
"""Pulls of a duel: fewer teach a copy next to nothing, more than it needs to come to prefer an arm are wasted."""


@dataclass(frozen=True)
class Duels:
    """The pairs of arms [D, 2] that copies are given, and the items that give them."""

    arms_D2: Arms
    items: Items

    @classmethod
    def between(
        cls, field_F: Arms, rates_K: NDArray[np.float64], budget: int, copies: int, rng: np.random.Generator
    ) -> Self:
        """Every arm of the field in at least one duel, `budget` pulls in all, as many duels as there are copies.

        Which arms meet, and which of the two a copy sees as arm 0, is drawn: a preference for one side cancels out.
        """
        pairs_P2 = draw_pairs(field_F, rng)
        times = duels_a_pair(budget, len(pairs_P2), copies)
        arms_D2 = rng.permuted(np.tile(pairs_P2, (times, 1)), axis=1)
        steps_D = spread(budget, len(arms_D2))
        seed_D = rng.integers(0, 2**64, size=len(arms_D2), dtype=np.uint64)
        return cls(arms_D2, Items.of("bandit", rates_K[arms_D2], steps=steps_D, seed=seed_D))


def largest_field(arms: int, budget: int, schedule: Schedule) -> int:
    """The most arms that `budget` pulls can bring down to one with a duel for each in every round; 0 if not even 2."""

    def is_too_large(size: int) -> bool:
        return budget // schedule.rounds(size) < SHORTEST * (size - size // 2)

    sizes = range(2, arms + 1)
    fitting = bisect_left(sizes, True, key=is_too_large)
    return sizes[fitting - 1] if fitting else 0


def draw_pairs(field_F: Arms, rng: np.random.Generator) -> Arms:
    """The field in pairs [P, 2]; the odd one out meets an arm that is in another pair, too."""
    drawn = rng.permutation(field_F)
    if len(drawn) % 2:
        drawn = np.append(drawn, drawn[rng.integers(len(drawn) - 1)])
    return drawn.reshape(-1, 2)


def duels_a_pair(budget: int, pairs: int, copies: int) -> int:
    """How many copies each pair is given to at once: all there are, unless duels become too short or too long."""
    most = max(1, budget // (pairs * SHORTEST))
    fewest = -(-budget // (pairs * LONGEST))
    return min(max(copies // pairs, fewest), most)


def spread(budget: int, parts: int) -> NDArray[np.uint32]:
    """`budget` in `parts` that differ by at most 1."""
    return np.diff(np.arange(parts + 1, dtype=np.int64) * budget // parts).astype(np.uint32)
