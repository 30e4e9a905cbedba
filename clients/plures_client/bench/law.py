"""The Universal Scalability Law: what contention and coherence leave of N workers' work.

    X(N) = λ N / (1 + σ (N − 1) + κ N (N − 1))

N. J. Gunther, "Guerrilla Capacity Planning" (Springer, 2007), eq. 4.31; with the pace λ of one worker,
arXiv:0809.2541.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument

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
        return self.pace * workers / _slowdown(workers, self.sigma, self.kappa)

    def speed_up(self, workers: Real) -> Real:
        """Over one worker."""
        return self.throughput(workers) / self.pace


def fit(workers: Sequence[float], throughput: Sequence[float]) -> Law:
    """The law that lies nearest, in relative terms, to what was measured, with no coefficient below zero.

    N / X = (1 + σ (N − 1) + κ N (N − 1)) / λ is linear in 1/λ, σ/λ and κ/λ: least squares, exactly solved.

    Raises:
        InvalidArgument: fewer than three numbers of workers, or work that took no time.
    """
    n, x = np.asarray(workers, np.float64), np.asarray(throughput, np.float64)
    if len(set(workers)) < 3 or not (x > 0).all():
        raise InvalidArgument(f"{len(set(workers))} numbers of workers given; a law is fitted to three at least")
    relative = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1) * (x / n)[:, None]
    a, b, c = min(_solutions(relative), key=lambda found: _residual(relative, found))
    pace, sigma, kappa = 1 / a, b / a, c / a
    residuals = pace * n / _slowdown(n, sigma, kappa) / x - 1
    peak = float(np.sqrt((1 - sigma) / kappa)) if kappa > 0 and sigma < 1 else None
    return Law(pace, sigma, kappa, peak, float(np.sqrt(np.mean(residuals**2))))


def _slowdown(n: Real, sigma: float, kappa: float) -> Real:
    slowdown: Real = 1 + sigma * (n - 1) + kappa * n * (n - 1)
    return slowdown


def _solutions(relative: Real) -> Iterator[tuple[float, float, float]]:
    """Least squares with each choice of the last two coefficients held at zero; those without negative ones."""
    for free in product([True], [False, True], [False, True]):
        columns = np.flatnonzero(free)
        values = np.zeros(3)
        values[columns] = np.linalg.lstsq(relative[:, columns], np.ones(len(relative)), rcond=None)[0]
        if values[0] > 0 and (values >= 0).all():
            yield float(values[0]), float(values[1]), float(values[2])


def _residual(relative: Real, found: tuple[float, float, float]) -> float:
    return float(np.sum((relative @ np.array(found) - 1) ** 2))
