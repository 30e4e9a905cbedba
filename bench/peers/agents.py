"""What a peer is: agents of one student on the bandit, stepped all at once or one by one, beside their environments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from plures_server.tasks import Episode, get_task
from plures_server.wave import agent_seeds
from plures_students.model import NO_ACTION, Inputs, Student
from plures_students.sampling import sample
from torch import Tensor

RATES = [[0.25, 0.05]]
SEED, TASK_SEED = 1, 2
LONG = 1_000_000
"""Steps that an environment is told it will make, where a clock decides."""


class Agents(Protocol):
    """A number of agents and their environments."""

    def step(self) -> None:
        """One step of each."""
        ...

    def summary(self) -> Tensor:
        """What the bandits counted, [agents, columns]."""
        ...

    @property
    def bytes_an_agent(self) -> float:
        """Of all that an agent has of its own, its environment included."""
        ...


Make = Callable[[Student, int], Agents]


class Skip(Exception):
    """Why a peer is not measured."""


@dataclass(frozen=True)
class Peer:
    """One way to run agents. `make` raises Skip. `agents`: how many it is measured with. `copies_of_state`: how many
    times its states are in memory at once at most. `lone`: whether one agent alone is timed, too. `note`: what to
    know of it.
    """

    name: str
    make: Make
    agents: tuple[int, ...]
    copies_of_state: float = 1.0
    lone: bool = True
    note: str = ""


# logits [B, A] of agents whose states lie in rows `slots` of pages [N, P]
Step = Callable[[Tensor, Tensor, Tensor, Inputs], Tensor]


class BatchedAgents:
    """Agents whose states lie in one tensor, stepped by one call."""

    def __init__(self, student: Student, ordinals: range, step: Step) -> None:
        agents = len(ordinals)
        self._step = step
        self._pages = torch.zeros(agents, student.config.page_floats)
        self._slots = torch.arange(agents)
        self._seeds, self._episode = worlds(ordinals)
        self._action = torch.full((agents,), NO_ACTION, dtype=torch.int32)
        self._reward = torch.zeros(agents)
        self._tick = 0

    def step(self) -> None:
        rows = slice(0, len(self._pages))
        inputs = Inputs(self._episode.observation(rows), self._action, self._reward, torch.zeros_like(self._reward))
        logits = self._step(self._pages, self._slots, self._slots, inputs)
        self._action = sample(logits, self._seeds, self._tick)
        self._reward = self._episode.step(rows, self._action, self._tick)
        self._tick += 1

    def summary(self) -> Tensor:
        return self._episode.summary()

    @property
    def bytes_an_agent(self) -> float:
        own = (self._pages, self._slots, self._seeds, self._action, self._reward, self._episode.summary())
        return sum(tensor.nbytes for tensor in own) / len(self._pages)


def worlds(ordinals: range) -> tuple[Tensor, Episode]:
    """The agents' seeds, and their bandits: those that the server would give them."""
    numbers, cpu = np.asarray(ordinals), torch.device("cpu")
    rates = torch.tensor(RATES).expand(len(numbers), 2).contiguous()
    steps_B = torch.full((len(numbers),), LONG)
    episode = get_task("bandit").begin(rates, agent_seeds(TASK_SEED, numbers, cpu), steps_B)
    return agent_seeds(SEED, numbers, cpu), episode
