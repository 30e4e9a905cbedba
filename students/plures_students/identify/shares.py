"""Posterior mass over members, from what each gave to lives that none was fitted to.

Shapes: L lives, M members.
"""

import numpy as np
import torch

from ..teachers.learner import Real, Whole
from .recovery import posterior

_DRAWS = 4000
_ROUNDS = 200
_INTERVAL = 2.5, 97.5


def mass(log_evidence_LM: Real) -> Real:
    """If all lives were lived by one and the same member: ∝ exp(Σ over lives of log evidence), even before. [M]."""
    return posterior(log_evidence_LM.sum(axis=0))


def shares(log_evidence_LM: Real, seed: int = 0) -> tuple[Real, Real]:
    """If each life was lived by some member, drawn anew: the members' shares, [M], and 95 % intervals, [2, M].

    Shares have an even Dirichlet prior; their posterior is approximated by a Dirichlet, as in Stephan et al. 2009
    (NeuroImage 46:1004, eq. 14), by turns: whose each life is given the shares, and the shares given whose they are.
    """
    members = log_evidence_LM.shape[1]
    alpha_M = np.ones(members)
    for _ in range(_ROUNDS):
        expected_M = torch.digamma(torch.from_numpy(alpha_M)).numpy()
        alpha_M = 1 + posterior(log_evidence_LM + expected_M).sum(axis=0)
    drawn = np.random.default_rng(seed).dirichlet(alpha_M, _DRAWS)
    return alpha_M / alpha_M.sum(), np.percentile(drawn, _INTERVAL, axis=0)


def paired(loss_LM: Real, length_L: Whole, seed: int = 0) -> tuple[Real, Real]:
    """What each member loses to the best, nats a choice, [M], with 95 % bootstrap intervals over lives, [2, M].

    loss_LM: negative log-likelihoods of whole lives. Lives are drawn anew; members are compared on the same lives.
    """
    best = int(loss_LM.sum(axis=0).argmin())
    behind_LM = loss_LM - loss_LM[:, best : best + 1]
    lives = len(loss_LM)
    weight_RL = np.random.default_rng(seed).multinomial(lives, np.full(lives, 1 / lives), _DRAWS)
    drawn_RM = (weight_RL @ behind_LM) / (weight_RL @ length_L)[:, None]
    return behind_LM.sum(axis=0) / length_L.sum(), np.percentile(drawn_RM, _INTERVAL, axis=0)
