"""How well a student foresees lives: every choice predicted from the whole life before it.

Shapes: N rows of lives, B lives or segments, T steps, A actions.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from ..lives import Lives
from ..model import Student
from .histories import Histories

_TOKENS_AT_ONCE = 65_536


def log_probs(student: Student, histories: Histories) -> NDArray[np.float64]:
    """Log-probabilities [N, A] of all actions before each choice; memory runs from birth to the life's end."""
    offsets = histories.lives.offsets
    return segment_log_probs(student, histories, offsets[:-1], offsets[1:])


def segment_log_probs(
    student: Student, histories: Histories, start_B: NDArray[np.int64], stop_B: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The same for segments [start, stop) of rows, each of a newborn; their rows end to end."""
    parts: dict[int, NDArray[np.float64]] = {}
    for some in _alike(stop_B - start_B):
        batch = histories.batch(start_B[some], stop_B[some])
        with torch.inference_mode():
            log_prob_BTA = student(batch.inputs)[0].double().log_softmax(-1)
        for place, row_TA, real_T in zip(some, log_prob_BTA, batch.real_BT, strict=True):
            parts[int(place)] = row_TA[real_T].numpy()
    return np.concatenate([parts[place] for place in range(len(start_B))])


def _alike(length_B: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Places of segments of like length, few enough to run at once."""
    order = np.argsort(length_B, kind="stable")[::-1]
    while len(order):
        fitting = max(1, _TOKENS_AT_ONCE // int(length_B[order[0]]))
        yield order[:fitting]
        order = order[fitting:]


def loss_by_life(student: Student, histories: Histories) -> NDArray[np.float64]:
    """Mean negative log-likelihood of each life's choices, [L]."""
    return mean_by_life(histories.lives, nll(log_probs(student, histories), histories.lives.action_N))


def mean_by_life(lives: Lives, values_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means [L] of values of rows."""
    means_L: NDArray[np.float64] = np.add.reduceat(values_N, lives.offsets[:-1]) / lives.lengths
    return means_L


def nll(log_prob_NA: NDArray[np.float64], action_N: NDArray[np.int32]) -> NDArray[np.float64]:
    """Negative log-likelihood of each choice that was made, [N]."""
    return -np.take_along_axis(log_prob_NA, action_N[:, None].astype(np.int64), axis=1)[:, 0]
