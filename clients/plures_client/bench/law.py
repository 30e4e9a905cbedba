"""The Universal Scalability Law as a curve: what contention and coherence leave of N workers' work, and where it peaks.

    X(N) = λ N / (1 + σ (N − 1) + κ N (N − 1))

N. J. Gunther, "Guerrilla Capacity Planning" (Springer, 2007), eq. 4.31; with the pace λ of one worker,
arXiv:0809.2541.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ..solving.laws import scalability_law

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """Fitted coefficients. `pace`: work a second of one worker. `error`: root mean square of relative residuals.

    `peak`: the number of workers beyond which more of them do less; None where no such number was seen.
    """

    pace: float
    sigma: float
    kappa: float
    peak: float | None
    error: float

    def throughput(self, workers: Real) -> Real:
        """Work a second of so many workers."""
        slowdown: Real = 1 + self.sigma * (workers - 1) + self.kappa * workers * (workers - 1)
        return self.pace * workers / slowdown


def fit(workers: Sequence[float], throughput: Sequence[float]) -> Law:
    """The law that lies nearest to what was measured; raises what `scalability_law` raises, of three numbers."""
    found = scalability_law(workers, throughput, least=3)
    sigma, kappa = (found.parameters[name] for name in ("sigma", "kappa"))
    peak = sqrt((1 - sigma) / kappa) if kappa > 0 and sigma < 1 else None
    return Law(found.parameters["gamma"], sigma, kappa, peak, found.relative_error)
