"""How many candidates are left after each round of a tournament, and what each round may cost."""

from dataclasses import dataclass
from math import ceil

from ..errors import InvalidArgument


@dataclass(frozen=True)
class Schedule:
    """Each round keeps this share of the candidates, rounded up, but always drops at least one."""

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InvalidArgument(f"a share of {self.share} of the candidates given; it lies between 0 and 1")

    def sizes(self, entrants: int) -> list[int]:
        """Candidates before the first round, after it, …, down to 1."""
        sizes = [entrants]
        while sizes[-1] > 1:
            sizes.append(min(sizes[-1] - 1, ceil(sizes[-1] * self.share)))
        return sizes

    def rounds(self, entrants: int) -> int:
        """Rounds until one is left."""
        return len(self.sizes(entrants)) - 1


def round_budget(budget: int, number: int, rounds: int) -> int:
    """Steps that round `number` (from 0) may take when all rounds share `budget` as equally as whole steps go."""
    return budget * (number + 1) // rounds - budget * number // rounds
