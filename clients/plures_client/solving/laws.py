"""Laws of how much more copies do, fitted to measurements, with how badly they fit.

N numbers of copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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


def scalability_law(copies: Sequence[float], rate: Sequence[float]) -> Law:
    """The Universal Scalability Law (Gunther 1993, 2008): rate(n) = γ n / (1 + σ (n − 1) + κ n (n − 1)).

    n / rate is linear in 1/γ, σ/γ and κ/γ: least squares of relative errors. What would come out below 0 is 0.
    """
    n, measured = _checked(copies, rate, least=4)
    columns = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1)
    weighed = columns / (n / measured)[:, None]
    used = [0, 1, 2]
    while True:
        found, covariance = _least_squares(weighed[:, used], np.ones_like(n))
        negative = [place for place, value in zip(used, found, strict=True) if place and value < 0]
        if not negative:
            break
        used.remove(negative[-1])
    whole, spread = np.zeros(3), np.zeros((3, 3))
    whole[used], spread[np.ix_(used, used)] = found, covariance
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


def _least_squares(columns: Real, wanted: Real) -> tuple[Real, Real]:
    """The solution and its covariance."""
    found, *_ = np.linalg.lstsq(columns, wanted, rcond=None)
    left = wanted - columns @ found
    free = max(len(wanted) - columns.shape[1], 1)
    return np.asarray(found, np.float64), np.linalg.pinv(columns.T @ columns) * (float(left @ left) / free)


def _relative(said: Real, measured: Real) -> float:
    return float(np.sqrt(np.mean((said / measured - 1) ** 2)))
