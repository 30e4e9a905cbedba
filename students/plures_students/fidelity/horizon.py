"""How long a student stays true to a teacher whose chances of acting are known.

At each step of a life, Kullback and Leibler's divergence of the teacher's choice from the copy's, in nats: in lives
that teachers lived, and in lives that copies lived and the teacher is asked about. Where the second grows beyond the
first, errors feed on themselves. Far beyond the steps trained on, both show whether it was the learning that was
imitated, or a stretch of it.

Shapes: N rows, B lives, T steps, A actions, K bins of steps.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

from ..copies import Copies
from ..lives import Lives
from ..model import Student
from ..teachers import Learner, World, foreseen, record

Real = NDArray[np.float64]

MARGIN = 0.05
"""Nats a step, on average over lives, by which a faithful copy's choices may differ from its teacher's."""
_BINS = 20
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Curve:
    """Means over lives and the steps of each bin, and their standard errors over lives, [K]."""

    mean: list[float]
    standard_error: list[float]


@dataclass(frozen=True)
class Divergence:
    """Copies beside their teacher, by age. `until` [K]: the step that each bin ends before.

    on_teacher, on_copies: nats a step, in lives that teachers and that copies lived. teacher_reward, copies_reward: a
    step. `horizon`: the end of the last bin before on_copies first exceeds `margin`.
    """

    until: list[int]
    on_teacher: Curve
    on_copies: Curve
    teacher_reward: Curve
    copies_reward: Curve
    margin: float
    horizon: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def divergence(
    student: Student, learner: Learner, world: World, lives: int, steps: int, seed: int, margin: float = MARGIN
) -> Divergence:
    """Let teachers and copies live `lives` lives of `steps` steps each in the world, and compare them.

    InvalidArgument: the student has other spaces than the world, or there are too few lives or steps.
    """
    spaces = student.config.observation_space, student.config.action_space
    if spaces != (world.observation_space, world.action_space):
        raise InvalidArgument(
            f"the student has spaces {spaces}, but {world} has others; name the world it was made for"
        )
    if lives < 2 or steps < 1:
        raise InvalidArgument(f"{lives} lives of {steps} steps are too few: at least 2 of 1")
    return beside(student, learner, world, record(world, learner, lives, steps, seed), seed, margin)


def beside(
    student: Student, learner: Learner, world: World, taught: Lives, seed: int, margin: float = MARGIN
) -> Divergence:
    """The same beside teachers' lives that `record` made: all of one length."""
    lives, steps = len(taught), int(taught.lengths[0])
    lived = record(world, Copies(student), lives, steps, seed)
    edges = bins(steps)
    on_copies = curve(kl(foreseen(learner, lived), chances(lived)), lives, edges)
    return Divergence(
        until=edges[1:].tolist(),
        on_teacher=curve(kl(chances(taught), foreseen(Copies(student), taught)), lives, edges),
        on_copies=on_copies,
        teacher_reward=curve(taught.reward_N.astype(np.float64), lives, edges),
        copies_reward=curve(lived.reward_N.astype(np.float64), lives, edges),
        margin=margin,
        horizon=_horizon(on_copies, edges, margin),
    )


def bins(steps: int) -> NDArray[np.int64]:
    """Bounds of the bins: each longer than the one before by the same factor, as far as steps are whole."""
    return np.unique(np.concatenate([[0], np.geomspace(1, steps, _BINS + 1)[1:].round().astype(np.int64)]))


def chances(lives: Lives) -> Real:
    """What `record` noted of who lived the lives, [N, A]."""
    actions = sum(name.startswith("teacher_p_") for name in lives.extra)
    return np.stack([lives.extra[f"teacher_p_{a}"] for a in range(actions)], axis=1).astype(np.float64)


def kl(p_NA: Real, q_NA: Real) -> Real:
    """Σ p log(p / q), [N]; where p is 0, nothing."""
    ratio_NA = np.log(np.maximum(p_NA, _SMALLEST)) - np.log(np.maximum(q_NA, _SMALLEST))
    divergence_N: Real = np.where(p_NA > 0, p_NA * ratio_NA, 0).sum(axis=1)
    return divergence_N


def curve(value_N: Real, lives: int, edges: NDArray[np.int64]) -> Curve:
    """Of values of rows of lives that are all of one length."""
    value_BT = value_N.reshape(lives, -1)
    mean_BK = np.add.reduceat(value_BT, edges[:-1], axis=1) / np.diff(edges)
    error_K = mean_BK.std(axis=0, ddof=1) / np.sqrt(lives)
    return Curve(mean_BK.mean(axis=0).tolist(), error_K.tolist())


def _horizon(curve: Curve, edges: NDArray[np.int64], margin: float) -> int:
    """The end of the last bin before the first whose mean exceeds the margin; 0 when that is the first bin."""
    beyond = np.flatnonzero(np.array(curve.mean) > margin)
    return int(edges[beyond[0]] if len(beyond) else edges[-1])
