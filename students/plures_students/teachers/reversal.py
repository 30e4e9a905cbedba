"""A world whose best arm changes. B lives."""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

from .learner import Real, Whole


@dataclass(frozen=True)
class Reversal:
    """Arms of which one pays with probability `better`, the others with 1 − better; every `period` steps it is another.

    One endless episode (reversal learning; e.g. Izquierdo et al. 2017, Neuroscience 345:12).
    """

    arms: int = 2
    better: float = 0.8
    period: int = 40

    def __post_init__(self) -> None:
        if self.arms < 2 or not 0 <= self.better <= 1 or self.period < 1:
            raise InvalidArgument(f"{self.arms} arms that pay {self.better} for {self.period} steps cannot be reversed")

    @property
    def observation_space(self) -> Discrete:
        return Discrete(1)

    @property
    def action_space(self) -> Discrete:
        return Discrete(self.arms)

    def begin(self, lives: int, rng: np.random.Generator) -> "ReversalPlaces":
        return ReversalPlaces(self, rng.integers(self.arms, size=lives), rng)


class ReversalPlaces:
    """Reversals under way."""

    def __init__(self, world: Reversal, best_B: Whole, rng: np.random.Generator) -> None:
        self.world = world
        self.best_B = best_B
        self._rng = rng
        self._left = world.period

    @property
    def observation_B(self) -> Whole:
        return np.zeros(len(self.best_B), np.int64)

    def facts(self) -> dict[str, Real]:
        return {"best_action": self.best_B.astype(np.float64)}

    def step(self, action_B: Whole) -> tuple[Real, NDArray[np.bool_]]:
        lives, better = len(action_B), self.world.better
        pay_B = np.where(action_B == self.best_B, better, 1 - better)
        reward_B = (self._rng.random(lives) < pay_B).astype(np.float64)
        self._left -= 1
        if self._left == 0:
            self.best_B = (self.best_B + self._rng.integers(1, self.world.arms, size=lives)) % self.world.arms
            self._left = self.world.period
        return reward_B, np.zeros(lives, np.bool_)
