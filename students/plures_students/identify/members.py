"""Members of the family that a teacher may be: networks of any rule, algorithms, and chance.

Shapes: N rows, A actions.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Discrete
from plures_kernels import RULES
from plures_kernels.errors import InvalidArgument

from ..checkpoint import load_checkpoint, save_checkpoint
from ..classic import fit_classic, why_not
from ..imitate import ImitationSettings
from ..imitate.histories import Histories
from ..imitate.likelihood import log_probs
from ..imitate.run import digest
from ..imitate.trainer import Trainer
from ..lives import Lives, split
from ..model import Student
from ..teachers import foreseen
from ..teachers.learner import Real
from .algorithms import ALGORITHMS, Algorithm
from .fitting import fit
from .sizes import Size, parameters, sized, state_bytes

_SMALLEST = 1e-12
OnStep = Callable[[float], None]
"""Is told how far a fit is, from 0 to 1."""


@dataclass(frozen=True)
class Fitted:
    """A member fitted to lives: how it foresees others (log-probabilities [N, A]), and what it costs.

    parameters: those that were fitted. state_bytes: what an agent carries; None where that is not counted.
    """

    log_probs: Callable[[Lives], Real]
    parameters: int
    state_bytes: int | None
    found: dict[str, Any]


class Member(Protocol):
    """What can be fitted to lives. `work` is a directory of its own."""

    def why_not(self, lives: Lives) -> str | None:
        """What speaks against it, to be asked before `fit`; None: nothing."""
        ...

    def fit(self, lives: Lives, work: Path, on_step: OnStep) -> Fitted: ...


@dataclass(frozen=True)
class Network:
    """A student of a rule, of a given size, that thinks `think` silent steps before each action."""

    rule: str
    think: int
    size: Size
    settings: ImitationSettings

    def why_not(self, lives: Lives) -> str | None:
        if not isinstance(lives.card.action_space, Discrete):
            return f"actions of the lives are {lives.card.action_space}; students imitate Discrete ones"
        return "there is one life; two are needed, since one is set aside for validation" if len(lives) < 2 else None

    def fit(self, lives: Lives, work: Path, on_step: OnStep) -> Fitted:
        """Train it, or take the student that was left in `work` by the same training. InvalidArgument: by another."""
        spaces = lives.card.observation_space, lives.card.action_space
        assert isinstance(spaces[1], Discrete)
        config, identity = sized(spaces[0], spaces[1], self.rule, self.think, self.size), self._identity(lives)
        student = _left(work, identity)
        if student is None:
            trainer = Trainer(config, self.settings, *split(lives, 1 - self.settings.valid, self.settings.seed))
            student = _train(trainer, on_step)
            save_checkpoint(work, student, {"identified": identity})
        return Fitted(
            log_probs=lambda others: log_probs(student, Histories(others)),
            parameters=parameters(config),
            state_bytes=state_bytes(config),
            found={name: value for name, value in config.to_json().items() if not name.endswith("_space")},
        )

    def _identity(self, lives: Lives) -> dict[str, Any]:
        settings = asdict(replace(self.settings, threads=1))
        identity = {"rule": self.rule, "think": self.think, **asdict(self.size), **settings, "lives": digest(lives)}
        # As a card gives it back: with lists for tuples.
        read: dict[str, Any] = json.loads(json.dumps(identity))
        return read


def _left(work: Path, identity: dict[str, Any]) -> Student | None:
    """The student of an earlier run, if there is one."""
    if not (work / "card.json").exists():
        return None
    left = load_checkpoint(work)
    if left.card.get("identified") != identity:
        raise InvalidArgument(f"{work} holds a student of another training; name another directory, or remove it")
    return left.student


def _train(trainer: Trainer, on_step: OnStep) -> Student:
    while trainer.progress < 1:
        trainer.advance()
        if trainer.course.step % trainer.settings.validate_every == 0 or trainer.progress == 1:
            trainer.validate()
        on_step(trainer.progress)
    return trainer.best


@dataclass(frozen=True)
class Classic:
    """One of the algorithms, by maximum likelihood, with one set of parameters for all lives."""

    algorithm: Algorithm

    def why_not(self, lives: Lives) -> str | None:
        spaces = lives.card.observation_space, lives.card.action_space
        known = all(isinstance(space, Discrete) for space in spaces)
        return None if known else f"algorithms know Discrete spaces alone, not {spaces[0]} and {spaces[1]}"

    def fit(self, lives: Lives, work: Path, on_step: OnStep) -> Fitted:
        value_P = fit(self.algorithm, lives, np.zeros(len(lives), np.int64)).value_GP[0]
        names = [parameter.name for parameter in self.algorithm.parameters]
        found = dict(zip(names, map(float, value_P), strict=True))
        learner = self.algorithm.learner(found)
        on_step(1.0)
        return Fitted(lambda others: np.log(np.maximum(foreseen(learner, others), _SMALLEST)), len(found), None, found)


@dataclass(frozen=True)
class Kernelled:
    """The Q-learner with forgetting and a choice kernel of `classic.py`, which begins anew with each episode."""

    def why_not(self, lives: Lives) -> str | None:
        return why_not(lives)

    def fit(self, lives: Lives, work: Path, on_step: OnStep) -> Fitted:
        learner = fit_classic(lives)
        on_step(1.0)
        return Fitted(learner.log_probs, len(learner.to_json()), None, dict(learner.to_json()))


@dataclass(frozen=True)
class Chance:
    """Any action, whatever happened."""

    def why_not(self, lives: Lives) -> str | None:
        known = isinstance(lives.card.action_space, Discrete)
        return None if known else f"actions of the lives are {lives.card.action_space}; chance is that of Discrete ones"

    def fit(self, lives: Lives, work: Path, on_step: OnStep) -> Fitted:
        on_step(1.0)
        actions = int(lives.card.action_space.n)  # type: ignore[attr-defined]
        return Fitted(lambda others: np.full((others.steps, actions), -np.log(actions)), 0, None, {})


SEEDS = "gated_delta", "gru", "ssm", "context", "context+think:1"
"""What is at issue: gradient-like fast weights, rich residual activations, context, and context that thinks."""


def read_members(text: str, size: Size, settings: ImitationSettings) -> dict[str, Member]:
    """Members by name from a comma-separated list; `seeds` and `algorithms` stand for several.

    A name is chance, classic, an algorithm's, or a rule's, with `+think:N` for N silent steps. InvalidArgument: else.
    """
    several = {"seeds": SEEDS, "algorithms": tuple(ALGORITHMS)}
    names = [name for word in text.split(",") for name in several.get(word.strip(), (word.strip(),))]
    return {name: _member(name, size, settings) for name in dict.fromkeys(names)}


def _member(name: str, size: Size, settings: ImitationSettings) -> Member:
    plain: dict[str, Member] = {"chance": Chance(), "classic": Kernelled()}
    if name in plain or name in ALGORITHMS:
        return plain[name] if name in plain else Classic(ALGORITHMS[name])
    rule, _, thinking = name.partition("+think:")
    if rule not in RULES or (thinking and not thinking.isdecimal()):
        known = ", ".join([*plain, *ALGORITHMS, *RULES])
        raise InvalidArgument(
            f"member {name!r} is not known; known: {known}, and rules with +think:N; seeds, algorithms"
        )
    return Network(rule, int(thinking or 0), size, settings)
