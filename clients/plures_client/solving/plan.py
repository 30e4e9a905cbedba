"""What is to be done, by how many, and what it may cost."""

from dataclasses import dataclass
from typing import Any

from ..errors import InvalidArgument


@dataclass(frozen=True)
class Budget:
    """`copies` copies make `steps` steps each: however they are put to work, no more than the product."""

    copies: int
    steps: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.copies < 1 or self.steps < 1 or self.seed < 0:
            raise InvalidArgument(f"{self} is none: copies and steps are at least 1, the seed at least 0")

    @property
    def total(self) -> int:
        return self.copies * self.steps

    def shared(self, parts: int) -> int:
        """Steps of each of so many parts; raise InvalidArgument when there are no parts, or fewer steps than parts."""
        if not 1 <= parts <= self.total:
            raise InvalidArgument(
                f"{self.total:,} steps do not go into {parts:,} parts; allow {'more steps' if parts > 0 else 'some'}"
            )
        return self.total // parts


@dataclass(frozen=True)
class Plan:
    """A strategy (a `Team`, fit for the problem) and the problem that it is to solve, and the steps it will cost."""

    strategy: Any
    problem: Any
    steps: int
