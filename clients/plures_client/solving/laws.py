"""Laws of how much more copies do, fitted to measurements, with how badly they fit.

N numbers of copies.
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
    """A fitted law: its parameters, their standard errors, and the typical relative error of what it says (RMS)."""

    formula: str
    parameters: dict[str, float]
    errors: dict[str, float]
    relative_error: float
    points: int


def scalability_law(copies: Sequence[float], rate: Sequence[float], least: int = 4) -> Law:
    """The Universal Scalability Law (Gunther 1993, 2008): rate(n) = γ n / (1 + σ (n − 1) + κ n (n − 1)).

    n / rate is linear in 1/γ, σ/γ and κ/γ: least squares of relative errors, with none below 0.

    Raises:
        InvalidArgument: fewer than `least` numbers of copies (of three, errors are not known), or a rate of 0.
    """
    n, measured = _checked(copies, rate, least)
    columns = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1)
    weighed = columns / (n / measured)[:, None]
    whole, spread = min(_nonnegative(weighed), key=lambda found: float(np.sum((weighed @ found[0] - 1) ** 2)))
    gamma, (_, sigma, kappa) = 1 / whole[0], whole / whole[0]
    # To first order, of ratios.
    by_gamma = np.array([-gamma, 0, 0])
    gradients = gamma * np.stack([by_gamma, [-sigma, 1, 0], [-kappa, 0, 1]])
    errors = np.sqrt(np.einsum("pi,ij,pj->p", gradients, spread, gradients))
    said = n / (columns @ whole)
    return Law(
        "γ n / (1 + σ (n − 1) + κ n (n − 1))",
        {"gamma": float(gamma), "sigma": float(sigma), "kappa": float(kappa)},
        dict(zip(("gamma", "sigma", "kappa"), errors.tolist(), strict=True)),
        _relative(said, measured),
        len(n),
    )


def power_law(copies: Sequence[float], regret: Sequence[float]) -> Law:
    """regret(n) = a n⁻ᵇ, by least squares of logarithms (as coverage falls with attempts: Brown et al. 2024)."""
    n, measured = _checked(copies, regret, least=3)
    columns = np.stack([np.ones_like(n), -np.log(n)], axis=1)
    found, covariance = _least_squares(columns, np.log(measured))
    error = np.sqrt(np.diag(covariance))
    a = float(np.exp(found[0]))
    parameters, errors = {"a": a, "b": float(found[1])}, {"a": float(a * error[0]), "b": float(error[1])}
    return Law("a n⁻ᵇ", parameters, errors, _relative(np.exp(columns @ found), measured), len(n))


def _checked(copies: Sequence[float], values: Sequence[float], least: int) -> tuple[Real, Real]:
    n, measured = np.asarray(copies, np.float64), np.asarray(values, np.float64)
    if n.shape != measured.shape or len(np.unique(n)) < least:
        raise InvalidArgument(f"{len(np.unique(n))} numbers of copies given; the law takes at least {least}")
    if not (n >= 1).all() or not (measured > 0).all() or not np.isfinite(measured).all():
        raise InvalidArgument("laws are fitted to numbers of copies from 1 on, and to finite values above 0")
    return n, measured


def _nonnegative(columns: Real) -> Iterator[tuple[Real, Real]]:
    """Solutions of columns · x = 1, and their covariances, with each choice of the last two held at 0; without any
    below 0.
    """
    for free in product([True], [False, True], [False, True]):
        used = np.flatnonzero(free)
        whole, spread = np.zeros(3), np.zeros((3, 3))
        whole[used], spread[np.ix_(used, used)] = _least_squares(columns[:, used], np.ones(len(columns)))
        if (whole >= 0).all():
            yield whole, spread


def _least_squares(columns: Real, wanted: Real) -> tuple[Real, Real]:
    """The solution and its covariance."""
    found, *_ = np.linalg.lstsq(columns, wanted, rcond=None)
    left = wanted - columns @ found
    free = max(len(wanted) - columns.shape[1], 1)
    return np.asarray(found, np.float64), np.linalg.pinv(columns.T @ columns) * (float(left @ left) / free)


def _relative(said: Real, measured: Real) -> float:
    return float(np.sqrt(np.mean((said / measured - 1) ** 2)))
