"""The classic baseline: a Q-learner with forgetting and a choice kernel, fitted by maximum likelihood.

At each step, with one value Q[o, a] an observation and action and one trace C[a] an action, both 0 when an episode
begins, the learner chooses action a with probability ∝ exp(β Q[o, a] + w C[a]). Then, for the reward r of action a,

    Q[o, a] ← Q[o, a] + α (r − Q[o, a]),    Q[every other] ← (1 − φ) Q[every other],    C ← C + κ (1_a − C).

(Rescorla & Wagner 1972, with forgetting of what was not chosen as in Ito & Doya 2009, J Neurosci 29:9861; choice kernel
as in Wilson & Collins 2019, eLife 8:e49547, model 4.) Both are points of the family: C is the delta rule with one
constant key, learning rate κ and the value 1_a; Q is the delta rule with the one-hot key of (o, a), learning rate α and
a decay of 1 − φ on all other key channels; for α ≥ φ that is the gated delta rule of decay 1 − φ, learning rate
1 − (1 − α) / (1 − φ) and the value α r / (that rate).

Shapes: N steps, E episodes, O observations, A actions.
"""

from dataclasses import asdict, astuple, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete
from numba import njit
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

from .lives import Lives

MOST_VALUES = 4096
"""Values of a table up to which the classic learner is fitted as a matter of course."""
_SLOWEST = 1e-3
"""Smallest learning rate: below it only the product with the inverse temperature can be told."""


@dataclass(frozen=True)
class ClassicLearner:
    """learning_rate α, forgetting φ, kernel_rate κ in [0, 1]; inverse_temperature β and kernel_weight w real."""

    learning_rate: float
    forgetting: float
    kernel_rate: float
    inverse_temperature: float
    kernel_weight: float

    def log_probs(self, lives: Lives) -> NDArray[np.float64]:
        """Log-probabilities [N, A] of all actions before each choice, given the life up to it."""
        return _Data(lives).log_probs(np.array(astuple(self)))[0]

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def can_fit(lives: Lives) -> bool:
    """Whether the classic learner is defined for these lives, and fitted in acceptable time."""
    return why_not(lives) is None


def why_not(lives: Lives) -> str | None:
    """What speaks against fitting the classic learner: spaces not Discrete, or a table as of tokens. None: nothing."""
    seen, done = lives.card.observation_space, lives.card.action_space
    if not (isinstance(seen, Discrete) and isinstance(done, Discrete)):
        return f"it wants Discrete spaces, not {seen} and {done}"
    if seen.n * done.n > MOST_VALUES:
        return (
            f"it forgets in all of its {seen.n:,} × {done.n:,} values at every step; up to {MOST_VALUES:,} it is fitted"
        )
    return None


def fit_classic(lives: Lives) -> ClassicLearner:
    """The population's maximum-likelihood learner: one set of parameters for all lives, the best of eight starts.

    The starts are slow and fast learning × slow and fast forgetting × rewards that attract and that repel.
    """
    # In units of the largest reward: descents begin, and end, where rewards are about 1.
    unit = float(np.abs(lives.reward_N).max()) or 1.0
    data = _Data(replace(lives, reward_N=lives.reward_N / np.float32(unit)))
    starts = [
        np.array([alpha, phi, 0.0, pull, 1.0]) for alpha, phi, pull in product((-2.0, 2.0), (-2.0, 2.0), (-1.0, 1.0))
    ]
    fits = [_descend(data, start) for start in starts]
    (alpha, phi, kappa, beta, weight), _ = _constrained(min(fits, key=lambda fit: fit[0])[1])
    return ClassicLearner(float(alpha), float(phi), float(kappa), float(beta) / unit, float(weight))


class _Data:
    """Columns of lives as the compiled loop wants them."""

    def __init__(self, lives: Lives) -> None:
        action, observation = lives.card.action_space, lives.card.observation_space
        if not (isinstance(action, Discrete) and isinstance(observation, Discrete)):
            raise InvalidArgument(f"the classic learner wants Discrete spaces, not {observation} and {action}")
        self.sizes = int(observation.n), int(action.n)
        self.columns = lives.episodes(), lives.observation_N, lives.action_N, lives.reward_N

    def log_probs(self, theta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log-probabilities [N, A], and the gradient [5] of the mean negative log-likelihood by (α, φ, κ, β, w)."""
        action_N = self.columns[2]
        log_prob_NA = np.empty((len(action_N), self.sizes[1]))
        gradient = _run(theta, *self.columns, *self.sizes, log_prob_NA)
        return log_prob_NA, gradient / len(action_N)

    def loss(self, raw: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Mean negative log-likelihood and its gradient by unconstrained parameters."""
        theta, jacobian = _constrained(raw)
        log_prob_NA, gradient = self.log_probs(theta)
        action_N = self.columns[2]
        return -float(log_prob_NA[np.arange(len(action_N)), action_N].mean()), gradient @ jacobian


def _descend(data: _Data, start: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """A local minimum: (mean negative log-likelihood, where)."""
    raw = torch.from_numpy(start).requires_grad_()
    optimiser = torch.optim.LBFGS([raw], max_iter=60, tolerance_change=1e-7, line_search_fn="strong_wolfe")

    def closure() -> float:
        loss, gradient = data.loss(raw.detach().numpy())
        raw.grad = torch.from_numpy(gradient)
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return closure(), raw.detach().numpy()


def _constrained(raw: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(α, φ, κ, β, w) and their Jacobian, of logits of the rates, α β and w: α β is the pull of one reward."""
    rates = 1 / (1 + np.exp(-raw[:3]))
    slopes = rates * (1 - rates)
    rates[0] = _SLOWEST + (1 - _SLOWEST) * rates[0]
    slopes[0] *= 1 - _SLOWEST
    beta = raw[3] / rates[0]
    jacobian = np.diag(np.append(slopes, [1 / rates[0], 1.0]))
    jacobian[3, 0] = -beta / rates[0] * slopes[0]
    return np.append(rates, [beta, raw[4]]), jacobian


@njit(cache=True)
def _run(
    theta: Any,
    bounds: Any,
    observation_N: Any,
    action_N: Any,
    reward_N: Any,
    observations: int,
    actions: int,
    out_NA: Any,
) -> Any:
    """Fill log-probabilities; return the gradient [5] of the negative log-likelihood by forward sensitivities."""
    alpha, phi, kappa, beta, weight = theta
    gradient = np.zeros(5)
    # Last axis: the value itself, then its derivatives by α and φ (by κ for the kernel).
    q_OA3 = np.zeros((observations, actions, 3))
    c_A2 = np.zeros((actions, 2))
    for e in range(len(bounds) - 1):
        q_OA3[:] = 0
        c_A2[:] = 0
        for n in range(bounds[e], bounds[e + 1]):
            chosen = action_N[n]
            q_A3 = q_OA3[observation_N[n]]
            _choose(beta, weight, q_A3, c_A2, out_NA[n])
            for a in range(actions):
                surplus = np.exp(out_NA[n, a]) - (a == chosen)
                gradient[0] += surplus * beta * q_A3[a, 1]
                gradient[1] += surplus * beta * q_A3[a, 2]
                gradient[2] += surplus * weight * c_A2[a, 1]
                gradient[3] += surplus * q_A3[a, 0]
                gradient[4] += surplus * c_A2[a, 0]
            _learn_values(alpha, phi, observation_N[n], chosen, reward_N[n], q_OA3)
            _learn_kernel(kappa, chosen, c_A2)
    return gradient


@njit(cache=True)
def _choose(beta: float, weight: float, q_A3: Any, c_A2: Any, log_prob_A: Any) -> None:
    top = -np.inf
    for a in range(len(c_A2)):
        log_prob_A[a] = beta * q_A3[a, 0] + weight * c_A2[a, 0]
        top = max(top, log_prob_A[a])
    total = 0.0
    for a in range(len(c_A2)):
        total += np.exp(log_prob_A[a] - top)
    log_prob_A -= top + np.log(total)


@njit(cache=True)
def _learn_values(alpha: float, phi: float, seen: int, chosen: int, reward: float, q_OA3: Any) -> None:
    for o in range(q_OA3.shape[0]):
        for a in range(q_OA3.shape[1]):
            q, by_alpha, by_phi = q_OA3[o, a]
            if o == seen and a == chosen:
                q_OA3[o, a, 0] = q + alpha * (reward - q)
                q_OA3[o, a, 1] = (1 - alpha) * by_alpha + reward - q
                q_OA3[o, a, 2] = (1 - alpha) * by_phi
            else:
                q_OA3[o, a, 0] = (1 - phi) * q
                q_OA3[o, a, 1] = (1 - phi) * by_alpha
                q_OA3[o, a, 2] = (1 - phi) * by_phi - q


@njit(cache=True)
def _learn_kernel(kappa: float, chosen: int, c_A2: Any) -> None:
    for a in range(len(c_A2)):
        target = 1.0 if a == chosen else 0.0
        c_A2[a, 1] = (1 - kappa) * c_A2[a, 1] + target - c_A2[a, 0]
        c_A2[a, 0] += kappa * (target - c_A2[a, 0])
