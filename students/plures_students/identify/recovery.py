"""Model recovery: teachers whose algorithm and parameters are known, and what is found of both in their lives.

As Wilson & Collins 2019 (eLife 8:e49547) have it: every algorithm is simulated with parameters drawn from their
ranges, every algorithm is fitted to every life, and the one of the lowest BIC is taken for the teacher's.

Shapes: L lives an algorithm, P parameters, S simulated and F fitted algorithms, K bins of steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

from ..lives import Lives
from ..teachers import Bandit, World, foreseen, record
from ..teachers.learner import Real
from .algorithms import ALGORITHMS, Algorithm
from .fitting import Fits, fit


@dataclass(frozen=True)
class RecoverySettings:
    """`lives` of each algorithm, of `steps` steps each, in `world`."""

    lives: int = 60
    steps: int = 500
    world: World = field(default_factory=lambda: Bandit(3, drift=0.05))
    seed: int = 0

    def __post_init__(self) -> None:
        if self.lives < 2 or self.steps < 10:
            raise InvalidArgument(f"{self.lives} lives of {self.steps} steps are too few: at least 2 of 10")


@dataclass(frozen=True)
class Suspects:
    """One algorithm's lives, the parameters that they were lived with, [L, P], and every algorithm's fit to them."""

    name: str
    algorithm: Algorithm
    value_LP: Real
    lives: Lives
    fits: dict[str, Fits]

    @property
    def bic_LF(self) -> Real:
        """Schwarz's criterion: P ln T − 2 log-likelihood; lower is better."""
        return np.stack([_bic(self.lives, name, found) for name, found in self.fits.items()], axis=1)

    @property
    def mass_LF(self) -> Real:
        """Posterior mass of each algorithm, life by life: ∝ exp(−BIC / 2), with equal prior mass on all."""
        return posterior(-self.bic_LF / 2)

    @property
    def taken_L(self) -> NDArray[np.int64]:
        """The place of the algorithm that each life is taken to be of."""
        taken: NDArray[np.int64] = self.bic_LF.argmin(axis=1)
        return taken

    def without(self, name: str) -> "Suspects":
        """The same, with one algorithm not thought of."""
        fits = {other: found for other, found in self.fits.items() if other != name}
        return Suspects(self.name, self.algorithm, self.value_LP, self.lives, fits)

    def chances(self, lives: Lives) -> Real:
        """What those that the L lives are taken to be would do in as many other lives, [N, A]."""
        chance_NA = np.empty((lives.steps, int(lives.card.action_space.n)))  # type: ignore[attr-defined]
        for place, (name, found) in enumerate(self.fits.items()):
            places = np.flatnonzero(self.taken_L == place)
            if len(places):
                learner = ALGORITHMS[name].learner(found.value_GP[places])
                chance_NA[np.isin(lives.life_of_row_N, places)] = foreseen(learner, lives.select(places))
        return chance_NA


def suspects(name: str, algorithm: Algorithm, settings: RecoverySettings, on_fit: Callable[[], None]) -> Suspects:
    """Simulate an algorithm and fit all of the family to it; `on_fit` is told of each."""
    # The name, too, makes the seed: no two algorithms play the same bandits.
    seeds = [settings.seed, *name.encode()]
    value_LP = algorithm.from_unit(np.random.default_rng(seeds).random((settings.lives, len(algorithm.parameters))))
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    lives = record(settings.world, algorithm.learner(value_LP), settings.lives, settings.steps, seed)
    fits = {}
    for other, candidate in ALGORITHMS.items():
        fits[other] = fit(candidate, lives, seed=settings.seed)
        on_fit()
    return Suspects(name, algorithm, value_LP, lives, fits)


def posterior(log_evidence_LF: Real) -> Real:
    """Mass along the last axis, ∝ exp(log evidence)."""
    mass_LF = np.exp(log_evidence_LF - log_evidence_LF.max(axis=-1, keepdims=True))
    normal: Real = mass_LF / mass_LF.sum(axis=-1, keepdims=True)
    return normal


def confusion(simulated: list[Suspects]) -> Real:
    """p(fitted | simulated), [S, F]: the share of lives of the one that are taken for the other."""
    return np.stack([np.bincount(one.taken_L, minlength=len(one.fits)) / len(one.lives) for one in simulated])


def inversion(confusion_SF: Real) -> Real:
    """p(simulated | fitted), [S, F], all simulated ones being equally likely; 0 where nothing was taken for it."""
    total_F = confusion_SF.sum(axis=0)
    inverted: Real = confusion_SF / np.where(total_F > 0, total_F, 1)
    return inverted


def _bic(lives: Lives, name: str, found: Fits) -> Real:
    free = found.value_GP.shape[1]
    criterion: Real = free * np.log(lives.lengths) - 2 * found.log_likelihood_G
    return criterion
