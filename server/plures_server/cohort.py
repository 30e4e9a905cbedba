"""A cohort: agents started together. What each one is besides its page of fast weights."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from plures_students.model import NO_ACTION

from .durable.journal import Journal
from .errors import AgentsBusy, InvalidArgument, UnknownAgent
from .forest import Nodes
from .horizon import HorizonPolicy
from .lineage import Lineage
from .pages import NEWBORN, Handles
from .students import Hosted

Ordinals = NDArray[np.int64]


@dataclass
class Cohort:
    """`count` agents by ordinal. An agent's life is a function of (student, seed, number, inputs)."""

    name: str
    student: Hosted
    seed: int
    # What tells an agent's random numbers from others' of that seed: its ordinal where it was started.
    number: NDArray[np.uint32]
    page: Handles
    # Where its life last parted from another's.
    anchor: Nodes
    step: NDArray[np.int64]
    last_action: NDArray[np.int32]
    # For the last action, when the server knows it: perceived at the next step.
    reward: NDArray[np.float32]
    alive: NDArray[np.bool_]
    lineage: Lineage
    parent: str = ""
    horizon_policy: HorizonPolicy = HorizonPolicy.WARN
    # Where what is done to the agents is logged; None when they end with the server.
    journal: Journal | None = field(default=None, init=False, repr=False)
    busy: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.busy = np.zeros(len(self.page), np.bool_)

    @classmethod
    def newborn(cls, name: str, student: Hosted, count: int, seed: int, anchor: Nodes, lineage: Lineage) -> "Cohort":
        """Agents that have not stepped: all read from the page of zeros, none owns any."""
        return cls(
            name,
            student,
            seed,
            number=np.arange(count, dtype=np.uint32),
            page=np.full(count, NEWBORN, np.int32),
            anchor=anchor,
            step=np.zeros(count, np.int64),
            last_action=np.full(count, NO_ACTION, np.int32),
            reward=np.zeros(count, np.float32),
            alive=np.ones(count, np.bool_),
            lineage=lineage,
        )

    def fork(self, ordinals: Ordinals, copies: int, name: str, seed: int) -> "Cohort":
        """Copies of the agents as they are, with numbers of their own; the caller has the pages retained."""
        chosen = np.repeat(ordinals, copies)
        return Cohort(
            name,
            self.student,
            seed,
            number=np.arange(len(chosen), dtype=np.uint32),
            page=self.page[chosen],
            anchor=self.anchor[chosen],
            step=self.step[chosen],
            last_action=self.last_action[chosen],
            reward=self.reward[chosen],
            alive=np.ones(len(chosen), np.bool_),
            lineage=self.lineage,
            parent=self.name,
            horizon_policy=self.horizon_policy,
        )

    @property
    def count(self) -> int:
        return len(self.page)

    def check(self, ordinals: Ordinals) -> Ordinals:
        """The ordinals, when all are alive, idle and named once; else raise, naming the first that is not."""
        self.check_alive(ordinals)
        if (busy := self.busy[ordinals]).any():
            raise AgentsBusy(
                f"agent {ordinals[busy][0]} of cohort {self.name!r} is in a run, lives a recorded life or works a "
                "queue; wait for it, cancel it or detach"
            )
        return ordinals

    def check_alive(self, ordinals: Ordinals) -> Ordinals:
        """The ordinals, when all are alive and named once; else raise, naming the first that is not."""
        if len(ordinals) == 0:
            raise InvalidArgument(f"no agents of cohort {self.name!r} are selected")
        outside = ordinals >= self.count
        if outside.any():
            raise UnknownAgent(f"cohort {self.name!r} has ordinals 0 to {self.count - 1}, not {ordinals[outside][0]}")
        if not (alive := self.alive[ordinals]).all():
            raise UnknownAgent(f"agent {ordinals[~alive][0]} of cohort {self.name!r} was retired")
        if has_repeats(ordinals, self.count):
            raise InvalidArgument(f"an agent of cohort {self.name!r} is selected more than once")
        return ordinals


def has_repeats(ordinals: Ordinals, count: int) -> bool:
    """Whether some ordinal below `count` stands more than once."""
    if len(ordinals) < 2 or bool((ordinals[1:] > ordinals[:-1]).all()):
        return False
    return int(np.bincount(ordinals, minlength=count).max()) > 1
