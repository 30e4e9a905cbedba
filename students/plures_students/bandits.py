"""Copies of a student, free, on the very bandits that recorded people or algorithms played.

What is observed there does not depend on what is done: nothing, or a cue for the arm that now pays.

Shapes: N rows of lives, B plays, T steps, A actions.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures_kernels import counter
from plures_kernels.errors import InvalidArgument
from torch import Tensor

from .fused import fused
from .lives import Lives, LivesError
from .model import NO_ACTION, Inputs, Student
from .sampling import sample
from .teachers.learner import Learner, Step
from .teachers.recording import drawn

COLUMNS = ("best_action", "p_best", "p_other")
_REWARD_STREAM = 1


@dataclass(frozen=True)
class Standing:
    """Where copies stand between plays: fast weights [B, page], and their last action, [B], with what it brought."""

    pages: Tensor
    action: Tensor
    reward: Tensor
    done: Tensor

    @classmethod
    def birth(cls, student: Student, copies: int) -> "Standing":
        nothing = torch.zeros(copies)
        action = torch.full((copies,), NO_ACTION)
        return cls(torch.zeros(copies, student.config.page_floats), action, nothing, nothing.bool())


@dataclass(frozen=True)
class Played:
    """The rows played; what copies perceived [B, T, …], did and got, as far as it is real; where they then stand."""

    row_BT: Tensor
    inputs: Inputs
    action_BT: Tensor
    reward_BT: Tensor
    real_BT: Tensor
    after: Standing


class Bandits:
    """The tasks of lives that tell, in columns of every row, the best action and what it and the others pay.

    InvalidArgument: they do not tell. LivesError: a column holds what is no action, or no probability.
    """

    def __init__(self, lives: Lives) -> None:
        if not can_play(lives):
            raise InvalidArgument(
                "the lives do not say what was played: that takes Discrete actions and the "
                f"columns {', '.join(COLUMNS)}; they have {', '.join(lives.extra) or 'no further columns'}"
            )
        best_N, p_best_N, p_other_N = _tasks(lives)
        self.lives = lives
        self.best_N = best_N.long()
        self.observation_N, self.done_N = torch.from_numpy(lives.observation_N), torch.from_numpy(lives.done_N)
        is_best_NA = torch.arange(_actions(lives)) == self.best_N[:, None]
        self.pay_NA = torch.where(is_best_NA, p_best_N[:, None], p_other_N[:, None]).float()

    def play(
        self,
        student: Student,
        start_B: NDArray[np.int64],
        stop_B: NDArray[np.int64],
        seed: int,
        before: Standing | None = None,
        names_BA: Tensor | None = None,
    ) -> Played:
        """Rows [start, stop) played anew, a copy each: their tasks and their ends of episodes, the copy's choices.

        Copies start from `before`, by default newborn. `names_BA` renames actions: a becomes names[b, a].
        """
        row_BT, real_BT = _rows(start_B, stop_B)
        pay_BTA = self.pay_NA[row_BT]
        if names_BA is not None:
            pay_BTA = torch.zeros_like(pay_BTA).scatter(2, names_BA[:, None].expand_as(pay_BTA), pay_BTA)
        before = before or Standing.birth(student, len(start_B))
        seen = self.observation_N[row_BT], self.done_N[row_BT]
        pages, inputs, action_BT, reward_BT = _play(student, before, pay_BTA, *seen, real_BT, seed)
        last_B1 = real_BT.sum(dim=1, keepdim=True) - 1
        last = (x_BT.gather(1, last_B1)[:, 0] for x_BT in (action_BT, reward_BT, self.done_N[row_BT]))
        return Played(row_BT, inputs, action_BT, reward_BT, real_BT, Standing(pages, *last))

    def relive(self, student: Student, copies: int, seed: int) -> Lives:
        """The lives lived anew from birth by free copies, `copies` of each, with their tasks and numbers of steps."""
        start_B, stop_B = (np.repeat(bound_L, copies) for bound_L in (self.lives.offsets[:-1], self.lives.offsets[1:]))
        played = self.play(student, start_B, stop_B, seed)
        return self._lived(played.row_BT, played.real_BT, played.action_BT, played.reward_BT)

    def relive_by(self, learner: Learner, copies: int, seed: int) -> Lives:
        """The same by an algorithm, of lives whose observations are Discrete."""
        observations = self.lives.card.observation_space
        if not isinstance(observations, Discrete):
            raise InvalidArgument(f"observations of the lives are {observations}; algorithms know Discrete ones alone")
        row_BT, real_BT = _rows(
            *(np.repeat(bound_L, copies) for bound_L in (self.lives.offsets[:-1], self.lives.offsets[1:]))
        )
        mind, rng = learner.begin(len(row_BT), int(observations.n), self.pay_NA.shape[1]), np.random.default_rng(seed)
        actions, rewards = [], []
        for t, row_B in enumerate(row_BT.T):
            seen_B, next_B = (
                self.observation_N[row_BT[:, place]].long().numpy() for place in (t, min(t + 1, row_BT.size(1) - 1))
            )
            action_B = drawn(mind.probabilities(seen_B), rng)
            paid_B = rng.random(len(action_B)) < self.pay_NA[row_B, torch.from_numpy(action_B)].numpy()
            mind.learn(Step(seen_B, action_B, paid_B.astype(np.float64), self.done_N[row_B].numpy(), next_B))
            actions.append(torch.from_numpy(action_B))
            rewards.append(torch.from_numpy(paid_B).float())
        return self._lived(row_BT, real_BT, torch.stack(actions, 1), torch.stack(rewards, 1))

    def _lived(self, row_BT: Tensor, real_BT: Tensor, action_BT: Tensor, reward_BT: Tensor) -> Lives:
        row_N = row_BT[real_BT].numpy()
        return replace(
            self.lives,
            card=replace(self.lives.card, title=f"copies of: {self.lives.card.title}", seconds_per_decision=None),
            life_L=np.arange(len(row_BT)),
            offsets=np.append(0, np.cumsum(real_BT.sum(dim=1).numpy())),
            step_N=self.lives.step_N[row_N],
            observation_N=self.lives.observation_N[row_N],
            action_N=action_BT[real_BT].int().numpy(),
            reward_N=reward_BT[real_BT].numpy(),
            done_N=self.lives.done_N[row_N],
            extra={name: values[row_N] for name, values in self.lives.extra.items() if not _is_of_who_lived(name)},
        )


def _is_of_who_lived(name: str) -> bool:
    """Whether a column tells of the teacher, not of what it met."""
    return name == "seconds" or name.startswith("teacher_p_")


def _tasks(lives: Lives) -> list[Tensor]:
    """The columns, checked."""
    for name, largest in zip(COLUMNS, (_actions(lives) - 1, 1, 1), strict=True):
        column_N = lives.extra[name]
        if not np.issubdtype(column_N.dtype, np.number):
            raise LivesError(f"{name} holds {column_N.dtype}, not numbers")
        good_N = (column_N >= 0) & (column_N <= largest)
        if not good_N.all():
            row = int(np.argmin(good_N))
            raise LivesError(f"{name} of row {row} is {column_N[row]:g}, not in 0 … {largest}")
    return [torch.tensor(lives.extra[name]) for name in COLUMNS]


def _actions(lives: Lives) -> int:
    space = lives.card.action_space
    assert isinstance(space, Discrete)
    return int(space.n)


def can_play(lives: Lives) -> bool:
    """Whether `Bandits` takes these lives."""
    return isinstance(lives.card.action_space, Discrete) and all(name in lives.extra for name in COLUMNS)


def _rows(start_B: NDArray[np.int64], stop_B: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Rows [B, T] of the plays, the last one repeated behind a play's end, and which are real."""
    row_BT = torch.from_numpy(start_B)[:, None] + torch.arange(int((stop_B - start_B).max()))
    last_B1 = torch.from_numpy(stop_B)[:, None] - 1
    return torch.minimum(row_BT, last_B1), row_BT <= last_B1


@torch.no_grad()
def _play(
    student: Student,
    before: Standing,
    pay_BTA: Tensor,
    observation_BT: Tensor,
    done_BT: Tensor,
    real_BT: Tensor,
    seed: int,
) -> tuple[Tensor, Inputs, Tensor, Tensor]:
    """The pages afterwards; what the copies perceive, do and get."""
    plays, steps, _ = pay_BTA.shape
    place_B, seed_B = torch.arange(plays), seed + torch.arange(plays)
    step, pages = fused(student), before.pages.clone()
    actions, rewards = [before.action], [before.reward]
    done_BT = torch.cat([before.done[:, None], done_BT], dim=1)
    for t in range(steps):
        inputs = Inputs(observation_BT[:, t], actions[t], rewards[t], done_BT[:, t])
        write_B = torch.where(real_BT[:, t], place_B, -1)
        action_B = sample(step(pages, place_B, write_B, inputs), seed_B, t).long()
        pay_B = pay_BTA[:, t].gather(1, action_B[:, None])[:, 0]
        actions.append(action_B)
        rewards.append((counter.uniform(seed_B, t, _REWARD_STREAM) < pay_B).float())
    action_BT, reward_BT = torch.stack(actions, 1), torch.stack(rewards, 1)
    seen = Inputs(observation_BT, action_BT[:, :-1], reward_BT[:, :-1], done_BT[:, :-1])
    return pages, seen, action_BT[:, 1:], reward_BT[:, 1:]
