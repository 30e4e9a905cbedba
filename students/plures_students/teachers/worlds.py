"""Small worlds that teachers learn in, many at once, one a life.

Shapes: B lives, A actions (arms), C cells.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

Whole = NDArray[np.int64]
Real = NDArray[np.float64]


class Places(Protocol):
    """B worlds under way."""

    @property
    def observation_B(self) -> Whole:
        """What each life sees now."""
        ...

    def facts(self) -> dict[str, Real]:
        """What an onlooker may know of the worlds now, [B] each; it is recorded beside the steps."""
        ...

    def step(self, action_B: Whole) -> tuple[Real, NDArray[np.bool_]]:
        """Act; rewards, and which episodes ended. Where one ends, the next begins at once."""
        ...


class World(Protocol):
    """A kind of world."""

    @property
    def observation_space(self) -> Discrete: ...

    @property
    def action_space(self) -> Discrete: ...

    def begin(self, lives: int, rng: np.random.Generator) -> Places: ...


@dataclass(frozen=True)
class Bandit:
    """Arms that pay 1 with probabilities of their own, drawn uniformly at a life's beginning; one endless episode.

    With `drift`, each probability makes a Gaussian step of that standard deviation after each choice, and is reflected
    at 0 and 1 (a restless bandit, as in Daw et al. 2006, Nature 441:876, there with other rewards).
    """

    arms: int = 5
    drift: float = 0.0

    def __post_init__(self) -> None:
        if self.arms < 1 or not 0 <= self.drift < 1:
            raise InvalidArgument(f"a bandit of {self.arms} arms that drifts by {self.drift} a step is none")

    @property
    def observation_space(self) -> Discrete:
        return Discrete(1)

    @property
    def action_space(self) -> Discrete:
        return Discrete(self.arms)

    def begin(self, lives: int, rng: np.random.Generator) -> "BanditPlaces":
        return BanditPlaces(self, rng.random((lives, self.arms)), rng)


class BanditPlaces:
    """Bandits under way."""

    def __init__(self, world: Bandit, pay_BA: Real, rng: np.random.Generator) -> None:
        self.world = world
        self.pay_BA = pay_BA
        self._rng = rng

    @property
    def observation_B(self) -> Whole:
        return np.zeros(len(self.pay_BA), np.int64)

    def facts(self) -> dict[str, Real]:
        return {f"pay_{a}": self.pay_BA[:, a].copy() for a in range(self.world.arms)}

    def step(self, action_B: Whole) -> tuple[Real, NDArray[np.bool_]]:
        lives = len(action_B)
        reward_B = (self._rng.random(lives) < self.pay_BA[np.arange(lives), action_B]).astype(np.float64)
        if self.world.drift:
            moved_BA = np.abs(self.pay_BA + self._rng.normal(0, self.world.drift, self.pay_BA.shape))
            self.pay_BA = np.where(moved_BA > 1, 2 - moved_BA, moved_BA).clip(0, 1)
        return reward_B, np.zeros(lives, np.bool_)


STAY, UP, DOWN, LEFT, RIGHT = range(5)
_MOVES = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])


@dataclass(frozen=True)
class DarkRoom:
    """A room of size × size cells with a goal that cannot be seen: 1 at each step that ends on it, else 0.

    An agent sees its cell, begins in the middle, and is put back there after `episode` steps; walls hold it. Goals
    are drawn uniformly at a life's beginning (Laskin et al. 2022, arXiv:2210.14215, §5.1: 9 × 9, 20 steps).
    """

    size: int = 9
    episode: int = 20

    def __post_init__(self) -> None:
        if self.size < 2 or self.episode < 1:
            raise InvalidArgument(f"a room of {self.size} × {self.size} for {self.episode} steps is none")

    @property
    def observation_space(self) -> Discrete:
        return Discrete(self.size**2)

    @property
    def action_space(self) -> Discrete:
        return Discrete(5)

    def begin(self, lives: int, rng: np.random.Generator) -> "DarkRoomPlaces":
        return DarkRoomPlaces(self, rng.integers(self.size**2, size=lives))


class DarkRoomPlaces:
    """Rooms under way."""

    def __init__(self, world: DarkRoom, goal_B: Whole) -> None:
        self.world = world
        self.goal_B = goal_B
        self._middle = (world.size // 2) * (world.size + 1)
        self._cell_B = np.full(len(goal_B), self._middle)
        self._left = world.episode

    @property
    def observation_B(self) -> Whole:
        return self._cell_B.copy()

    def facts(self) -> dict[str, Real]:
        return {"goal": self.goal_B.astype(np.float64)}

    def step(self, action_B: Whole) -> tuple[Real, NDArray[np.bool_]]:
        size = self.world.size
        place_B2 = np.stack(np.divmod(self._cell_B, size), axis=1) + _MOVES[action_B]
        row_B, column_B = place_B2.clip(0, size - 1).T
        self._cell_B = row_B * size + column_B
        reward_B = (self._cell_B == self.goal_B).astype(np.float64)
        self._left -= 1
        done_B = np.full(len(action_B), self._left == 0)
        if self._left == 0:
            self._cell_B = np.full(len(action_B), self._middle)
            self._left = self.world.episode
        return reward_B, done_B
