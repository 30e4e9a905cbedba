"""What all duels so far say about each of K arms. D duels of one round, F arms still in."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..coordinators.problem import Results
from .duels import Arms

PerArm = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Pooled counts [K]: pulls and rewards of an arm, its pulls in the late half, and those of it and its rivals."""

    pulls: PerArm
    rewards: PerArm
    late: PerArm
    late_both: PerArm

    @classmethod
    def none(cls, arms: int) -> Self:
        """What is known of so many arms before the first duel."""
        return cls(*np.zeros((4, arms)))

    def with_duels(self, arms_D2: Arms, results: Results) -> "Evidence":
        """This and what came of more duels, of which row d was between the arms `arms_D2[d]`."""
        late_D2 = _of_both(results, "late_pulls")
        return Evidence(
            pulls=self.pulls + self._sums(arms_D2, _of_both(results, "pulls")),
            rewards=self.rewards + self._sums(arms_D2, _of_both(results, "rewards")),
            late=self.late + self._sums(arms_D2, late_D2),
            late_both=self.late_both + self._sums(arms_D2, late_D2 + late_D2[:, ::-1]),
        )

    @property
    def rate(self) -> PerArm:
        """Each arm's rate of success, as if two more pulls had paid what arms pay on average."""
        average = float((self.rewards.sum() + 1) / (self.pulls.sum() + 2))
        return (self.rewards + 2 * average) / (self.pulls + 2)

    @property
    def preference(self) -> PerArm:
        """How often copies came to choose an arm when they had it before them, as if both had been pulled once more."""
        return (self.late + 1) / (self.late_both + 2)

    def rank(self, field_F: Arms) -> Arms:
        """The field by rate, the best first; between equals what copies came to prefer, then the field's order."""
        order = np.lexsort((-self.preference[field_F], -self.rate[field_F]))
        return field_F[order]

    def _sums(self, arms_D2: Arms, values_D2: NDArray[np.float32]) -> PerArm:
        return np.bincount(arms_D2.ravel(), values_D2.ravel(), minlength=len(self.pulls)).astype(np.float64)


def _of_both(results: Results, what: str) -> NDArray[np.float32]:
    return np.stack([results.column(f"{what}_0"), results.column(f"{what}_1")], axis=1)
