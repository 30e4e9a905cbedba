"""What a task is: an environment that runs on the server, many copies at once, on the agents' device.

Shapes: B copies of the environment, R some of them, P parameters, M summary columns.
"""

from typing import Any, Protocol

from gymnasium.spaces import Space
from torch import Tensor


class Episode(Protocol):
    """B environments under way. `rows` names a contiguous part of them."""

    def observation(self, rows: slice) -> Tensor:
        """What these agents see now, elements of the observation space, [R, …]."""
        ...

    def step(self, rows: slice, action_R: Tensor, tick: int) -> Tensor:
        """Take the actions of the tick-th step; rewards float32 [R]."""
        ...

    def ended(self, rows: slice) -> Tensor:
        """Whether the last step of these agents ended an episode, uint8 [R]; then they perceive a new one."""
        ...

    def summary(self) -> Tensor:
        """What the copies did so far, float32 [B, M]."""
        ...


class Task(Protocol):
    """A kind of environment. Its randomness is a function of (seed of the copy, tick)."""

    @property
    def observation_space(self) -> Space[Any]: ...

    @property
    def action_space(self) -> Space[Any]: ...

    @property
    def parameter_names(self) -> tuple[str, ...]: ...

    @property
    def summary_names(self) -> tuple[str, ...]: ...

    def check(self, parameters: Tensor) -> None:
        """Raise InvalidArgument, naming row and value, when some of the parameters [·, P] make no environment."""
        ...

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> Episode:
        """B fresh environments; copy b will make steps_B[b] steps."""
        ...
