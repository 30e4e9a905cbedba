"""A game of tokens for gymnasium: the copy hears a token, and then what it said itself; some tokens are lucky."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from plures_students.text import BYTES

LUCKY = range(64)


class Speaking(gymnasium.Env[np.int64, np.int64]):
    observation_space = Discrete(BYTES)
    action_space = Discrete(BYTES)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.np_random.integers(BYTES), {}

    def step(self, action: np.int64) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.int64(action), float(action in LUCKY), False, False, {}


gymnasium.register("Speaking-v0", Speaking)
