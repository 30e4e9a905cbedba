"""What a task is: an environment that runs on the server, many copies at once, on the agents' device.

Shapes: B copies of the environment, R some of them, P parameters, M summary columns.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

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


@dataclass(frozen=True)
class Asks:
    """What copies want done by others: C items, each for the copy `row_C` (int64) of the episode's B.

    parameters_CP: float32. steps_C: int64, at least 1. `task` None: the same; `queue` None: where the copy's item was.
    """

    row_C: Tensor
    parameters_CP: Tensor
    steps_C: Tensor
    task: str | None = None
    queue: str | None = None


@runtime_checkable
class AskingEpisode(Episode, Protocol):
    """An episode that puts items on queues. It is asked when it is over, and when its items came from a queue."""

    def asks(self) -> Asks | None: ...


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
