"""Whether lives still hold what a model of them does not know: a score test on their recent past.

The model's probabilities p_ta are asked whether their logits should have had, in addition, some multiple of features
x_ta of what was done and paid before. Under the model, with the score s = Σ_t Σ_a (1[a_t = a] − p_ta) x_ta and its
information I = Σ_t Cov_{a ~ p_t}(x_ta), the statistic sᵀ I⁻¹ s is χ² of as many degrees of freedom as there are
features (Rao 1948, Proc. Camb. Phil. Soc. 44:50) that neither repeat others nor never vary: of two arms two fewer, and
fewer in a life that is never paid. Parameters that were fitted to the same lives make it smaller.

Shapes: L lives, T steps, A actions, K features.
"""

import numpy as np
import torch

from ..lives import Lives
from ..teachers.learner import Real

LAGS = 3
TRACES = 0.3, 0.1, 0.03
FEATURES = 2 * (LAGS + len(TRACES)) + 5
_RIDGE = 1e-6


def misfit(lives: Lives, chance_NA: Real) -> tuple[Real, Real]:
    """The statistic of each life, [L], and its degrees of freedom, [L]."""
    found_L2 = np.array([_statistic(lives, place, chance_NA) for place in range(len(lives))])
    return found_L2[:, 0], found_L2[:, 1]


def p_value(statistic_L: Real, degrees_L: Real | int) -> Real:
    """How often χ² is as large or larger."""
    half_L = torch.from_numpy(np.broadcast_to(np.asarray(degrees_L) / 2, statistic_L.shape).copy())
    tail: Real = torch.special.gammaincc(half_L, torch.from_numpy(statistic_L / 2)).numpy()
    return tail


def _statistic(lives: Lives, place: int, chance_NA: Real) -> tuple[float, float]:
    """The statistic, and its mean under the model: as many degrees of freedom as the ridge leaves."""
    rows = lives.rows(place)
    chance_TA = chance_NA[rows]
    chosen_TA = np.eye(chance_TA.shape[1])[lives.action_N[rows]]
    feature_TAK = _features(chosen_TA, lives.reward_N[rows].astype(np.float64))
    score_K = np.einsum("ta,tak->k", chosen_TA - chance_TA, feature_TAK)
    mean_TK = np.einsum("ta,tak->tk", chance_TA, feature_TAK)
    square_KK = np.einsum("ta,tak,taj->kj", chance_TA, feature_TAK, feature_TAK, optimize=True)
    information_KK = square_KK - mean_TK.T @ mean_TK
    # What never varies under the model says nothing; the ridge keeps it from dividing by nothing.
    ridge_KK = _RIDGE * (np.trace(information_KK) + 1) * np.eye(len(score_K))
    solved_KK = np.linalg.solve(information_KK + ridge_KK, np.column_stack([score_K, information_KK]))
    return float(score_K @ solved_KK[:, 0]), float(np.trace(solved_KK[:, 1:]))


def _features(chosen_TA: Real, reward_T: Real) -> Real:
    """Of an arm, at each step: chosen, and chosen and paid, 1 to LAGS steps ago and in fading traces; for how long it
    has been chosen now, and not been; how well it is known; what it paid on average; whether it is the next in turn.
    """
    paid_TA = chosen_TA * reward_T[:, None]
    both = chosen_TA, paid_TA
    lagged = [_before(values_TA, lag) for lag in range(1, LAGS + 1) for values_TA in both]
    traces = [_trace(values_TA, rate) for rate in TRACES for values_TA in both]
    count_TA, sum_TA = (_before(values_TA.cumsum(axis=0), 1) for values_TA in both)
    known_TA = 1 / np.sqrt(1 + count_TA)
    average_TA = sum_TA / np.maximum(count_TA, 1)
    next_TA = np.roll(lagged[0], 1, axis=1)
    found = *lagged, *traces, _steps_since(1 - chosen_TA), _steps_since(chosen_TA), known_TA, average_TA, next_TA
    return np.stack(found, axis=-1)


def _trace(values_TA: Real, rate: float) -> Real:
    """Exponential averages of what was before each step."""
    trace_TA = np.zeros_like(values_TA)
    for t in range(1, len(trace_TA)):
        trace_TA[t] = trace_TA[t - 1] + rate * (values_TA[t - 1] - trace_TA[t - 1])
    return trace_TA


def _steps_since(event_TA: Real) -> Real:
    """log(1 + steps since the last event), before each step."""
    since_TA = np.zeros_like(event_TA)
    for t in range(1, len(since_TA)):
        since_TA[t] = (since_TA[t - 1] + 1) * (1 - event_TA[t - 1])
    return np.log1p(since_TA)


def _before(values_TA: Real, lag: int) -> Real:
    return np.concatenate([np.zeros_like(values_TA[:lag]), values_TA[:-lag]])[: len(values_TA)]


def auc(inside: Real, outside: Real) -> float:
    """How often a value of `outside` exceeds one of `inside`; equals count half."""
    ordered = np.sort(inside)
    below, up_to = (np.searchsorted(ordered, outside, side) for side in ("left", "right"))
    return float((below + up_to).sum() / (2 * len(inside) * len(outside)))
