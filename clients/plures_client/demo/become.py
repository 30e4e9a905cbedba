"""Become a person: replay their life into an agent, and see whether it then knows how that person plays.

P people, T steps of the longest life.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from ..client import Client
from ..sync.cohort import Cohort
from ..sync.streams import Pending
from .people import Person

IN_FLIGHT = 16


@dataclass(frozen=True)
class Becoming:
    """Log loss per choice on everyone's last block [P], by the agent that became them and by a newborn one."""

    became: NDArray[np.float64]
    fresh: NDArray[np.float64]

    @property
    def gain(self) -> float:
        """How much less the agent loses for having become the person, in nats per choice, mean over people."""
        return float((self.fresh - self.became).mean())

    @property
    def standard_error(self) -> float:
        """Of `gain`, paired over people."""
        return float((self.fresh - self.became).std(ddof=1) / math.sqrt(len(self.fresh)))


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps of a life: what was perceived before each press (reward, done), and the press, all [T]."""

    reward: NDArray[np.float32]
    done: NDArray[np.bool_]
    action: NDArray[np.int32]

    @classmethod
    def of(cls, person: Person, rows: slice) -> "Stretch":
        """Some rows of a life. What a press brought is perceived at the next one; before the first is nothing."""
        reward = np.concatenate([[np.float32(0)], person.reward[:-1]])
        done = np.concatenate([[False], person.done[:-1]])
        return cls(reward[rows], done[rows], person.action[rows])

    def __len__(self) -> int:
        return len(self.action)


def become(client: Client, student: str, people: list[Person], name: str) -> tuple[Cohort, Becoming]:
    """A cohort whose agent p has lived person p's life up to the last block, and how well it predicts that block.

    Forks make the prediction, so that the cohort itself stays where the last block begins.
    """
    cohort = client.cohorts.start(name, student=student, count=len(people), seed=1)
    replay(cohort, [Stretch.of(p, slice(0, p.blocks[-1].start)) for p in people], "replaying 11 of 12 blocks")
    last = [Stretch.of(person, person.blocks[-1]) for person in people]
    witnesses = cohort.fork(f"{name}-witnesses", seed=2)
    became = replay(witnesses, last, "predicting the last one")
    newborns = client.cohorts.start(f"{name}-newborns", student=student, count=len(people), seed=3)
    unknowing = [_without_past(stretch) for stretch in last]
    fresh = replay(newborns, unknowing, "predicting it newborn")
    for done_with in (witnesses, newborns):
        done_with.retire()
    return cohort, Becoming(became, fresh)


def replay(cohort: Cohort, stretches: list[Stretch], label: str) -> NDArray[np.float64]:
    """Make agent p press as stretch p says; the mean log loss per press [P] that the agent itself would have had."""
    lengths = np.array([len(stretch) for stretch in stretches])
    loss = np.zeros(len(stretches))
    with cohort.act_stream() as stream:
        sent = deque[tuple[NDArray[np.int64], NDArray[np.int32], Pending]]()
        for tick in track(range(lengths.max()), label):
            alive = np.flatnonzero(lengths > tick)
            reward, done, action = (
                np.array([getattr(stretches[p], what)[tick] for p in alive]) for what in ("reward", "done", "action")
            )
            answer = stream.send(alive, reward=reward, done=done, action=action, want_log_probs=True)
            sent.append((alive, action, answer))
            if len(sent) > IN_FLIGHT:
                _score(loss, *sent.popleft())
        for each in sent:
            _score(loss, *each)
    mean: NDArray[np.float64] = loss / lengths
    return mean


def _score(loss: NDArray[np.float64], alive: NDArray[np.int64], action: NDArray[np.int32], answer: Pending) -> None:
    log_probs = answer.result().log_probs
    assert log_probs is not None
    loss[alive] -= log_probs[np.arange(len(alive)), action]


def _without_past(stretch: Stretch) -> Stretch:
    """The stretch for someone to whom nothing happened before it."""
    reward, done = stretch.reward.copy(), stretch.done.copy()
    reward[0], done[0] = 0, False
    return Stretch(reward, done, stretch.action)
