"""A portfolio of sources whose chances drift: which to watch, when each copy can watch but two.

K sources, T times, N copies.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..coordinators.problem import Results
from ..counter import bits, normal
from ..errors import InvalidArgument
from ..items import Items, seeds

SOURCE_STREAM, RADIUS_STREAM, ANGLE_STREAM = 2, 3, 4
"""As the server's task `restless-bandit` draws its drift."""
TOLERANCE = 1e-2


@dataclass(frozen=True)
class World:
    """K sources that pay 1 with chances of their own, which make Gaussian moves, reflected at 0 and 1."""

    sources: int = 64
    drift: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.sources <= 2**24 or not 0 <= self.drift <= 1 or not 0 <= self.seed <= 2**24:
            raise InvalidArgument(f"{self} is none: it has 2 to 2²⁴ sources, a drift of 0 to 1, a seed of 0 to 2²⁴")

    def chances(self, times: int) -> NDArray[np.float64]:
        """Of all sources at times 0 … T − 1, [T, K]. At first most pay seldom, a few often."""
        now_K = np.random.default_rng([self.seed, 5]).beta(1, 3, self.sources)
        source_seed_K = bits(self.seed, np.arange(self.sources), SOURCE_STREAM)
        all_TK = np.empty((times, self.sources))
        for time in range(times):
            all_TK[time] = now_K
            moved_K = np.abs(now_K + self.drift * normal(source_seed_K, time, RADIUS_STREAM, ANGLE_STREAM))
            now_K = np.where(moved_K > 1, 2 - moved_K, moved_K).clip(0, 1)
        return all_TK


@dataclass(frozen=True)
class Earned:
    """What the copies' choices were worth a step in the last round, and what the best source was; the ratio is quality.

    `told` is what the better source of each pair was worth, as the server told it, and `checked` as computed here.
    """

    worth: float
    best: float
    told: float
    checked: float
    copies: int

    @property
    def quality(self) -> float:
        return self.worth / self.best

    @property
    def is_right(self) -> bool:
        """Whether the sources drifted as they should, and no copy earned more than there was."""
        return abs(self.told - self.checked) <= TOLERANCE and self.worth <= self.told + TOLERANCE


class Portfolio:
    """`copies` copies watch two sources each, `steps` steps a round; the next round goes on where time stands then.

    Between rounds each pair keeps the source that paid better of late; the other one is replaced by one drawn at random
    if the pair is worse than half of them all. Scored by the better source's late rate. Everything drawn follows from
    `seed`.
    """

    def __init__(self, world: World, *, copies: int, steps: int, rounds: int, seed: int = 0) -> None:
        if min(copies, steps, rounds) < 1:
            raise InvalidArgument(
                f"{copies} copies, {steps} steps, {rounds} rounds given; at least 1 of each is wanted"
            )
        self.world, self.copies, self.steps, self.rounds, self.seed = world, copies, steps, rounds, seed
        self._chances_TK = world.chances(steps * rounds)
        self._time, self._pairs_N2 = 0, np.empty((0, 2), np.int64)

    def split(self) -> Items:
        rng = np.random.default_rng([self.seed, 0])
        pairs_N2 = np.stack([rng.permutation(self.world.sources)[:2] for _ in range(self.copies)])
        return self._items(pairs_N2, 0)

    def score(self, results: Results) -> NDArray[np.float64]:
        best_N: NDArray[np.float64] = _rates(results).max(axis=1)
        return best_N

    def go_on(self, items: Items, results: Results, number: int) -> Items:
        if number >= self.rounds:
            raise InvalidArgument(f"round {number + 1} asked for, but the world was made for {self.rounds}")
        rng = np.random.default_rng([self.seed, number])
        pairs_N2, rates_N2 = items.parameters[:, 2:4].astype(np.int64), _rates(results)
        better_N = rates_N2.argmax(axis=1)
        rows = np.arange(len(items))
        keeps_N = rates_N2.max(axis=1) > np.median(rates_N2.max(axis=1))
        # The source after the other one, so that no pair is twice the same.
        kept_N, other_N = pairs_N2[rows, better_N], pairs_N2[rows, 1 - better_N]
        drawn_N = (kept_N + rng.integers(1, self.world.sources, len(items))) % self.world.sources
        next_N2 = np.stack([kept_N, np.where(keeps_N, other_N, drawn_N)], axis=1)
        return self._items(rng.permuted(next_N2, axis=1), number)

    def combine(self, results: Results) -> Earned:
        """How the last round went."""
        worth, told = (float(results.column(name).mean()) / self.steps for name in ("expected", "possible"))
        during_TK = self._chances_TK[self._time : self._time + self.steps]
        checked = float(during_TK[:, self._pairs_N2].max(axis=2).mean())
        return Earned(worth, float(during_TK.mean(axis=0).max()), told, checked, len(results))

    def _items(self, pairs_N2: NDArray[np.int64], number: int) -> Items:
        self._time, self._pairs_N2 = number * self.steps, pairs_N2
        chance_N2 = self._chances_TK[self._time][pairs_N2]
        tail = np.tile([self.world.seed, self._time, self.world.drift], (len(pairs_N2), 1))
        parameters = np.hstack([chance_N2, pairs_N2, tail])
        return Items.of("restless-bandit", parameters, steps=self.steps, seed=seeds([self.seed, number], len(pairs_N2)))


def _rates(results: Results) -> NDArray[np.float64]:
    """Of each arm the late rate [N, 2], as if one late pull in two had paid nothing more."""
    pulls, rewards = (
        np.stack([results.column(f"late_{what}_{arm}") for arm in (0, 1)], axis=1).astype(np.float64)
        for what in ("pulls", "rewards")
    )
    return np.asarray(rewards / (pulls + 1))
