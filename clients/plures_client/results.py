"""What comes back from agents at work, as numpy arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from plures.v1.agent_pb2 import SAY_END_LENGTH, SAY_END_STOP, SAY_END_UNSPECIFIED, SayResponse
from plures.v1.task_pb2 import RunProgress as ProgressMessage
from plures.v1.task_pb2 import RunRecord as RecordMessage

from .errors import InvalidArgument
from .tensors import decode

# Legend: N agents, A actions, T ticks, R recorded agents, S columns of a summary.


@dataclass(frozen=True)
class ActResult:
    """The actions taken, int32 [N]; when they were asked for, the log-probabilities of all actions, [N, A], and the
    steps that each agent then has behind it, uint64 [N].

    `beyond_horizon`: how many of them have lived longer than their student was shown to be faithful for.
    """

    action: NDArray[np.int32]
    log_probs: NDArray[np.float32] | None
    step: NDArray[np.uint64] | None = None
    beyond_horizon: int = 0

    @classmethod
    def join(cls, parts: Sequence["ActResult"]) -> "ActResult":
        """One result of the parts' agents, one after the other."""
        if len(parts) == 1:
            return parts[0]
        log_probs = [part.log_probs for part in parts if part.log_probs is not None]
        step = [part.step for part in parts if part.step is not None]
        return cls(
            np.concatenate([part.action for part in parts]),
            np.concatenate(log_probs) if log_probs else None,
            np.concatenate(step) if step else None,
            sum(part.beyond_horizon for part in parts),
        )


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: ticks done, steps made by all agents, seconds, and the mean reward of the last tick."""

    tick: int
    ticks: int
    agent_steps: int
    seconds: float
    mean_reward: float

    @classmethod
    def read(cls, message: ProgressMessage) -> Self:
        return cls(message.tick, message.ticks, message.agent_steps, message.seconds, message.mean_reward)


@dataclass(frozen=True)
class RunRecord:
    """The actions int32 [T, R] and rewards float32 [T, R] of the recorded agents from tick `first_tick` on."""

    first_tick: int
    action: NDArray[np.int32]
    reward: NDArray[np.float32]

    @classmethod
    def read(cls, message: RecordMessage) -> Self:
        action = decode(message.action, np.int32, (None, None))
        return cls(message.first_tick, action, decode(message.reward, np.float32, action.shape))


@dataclass(frozen=True)
class RunResult:
    """A run that is over: each agent's summary [N, S] in the order of the selection, and what was recorded [T, R]."""

    summary: NDArray[np.float32]
    columns: tuple[str, ...]
    actions: NDArray[np.int32]
    rewards: NDArray[np.float32]
    agent_steps: int
    seconds: float

    def column(self, name: str) -> NDArray[np.float32]:
        """The column [N] of the summary that has this name."""
        return column(self.summary, self.columns, name)


def column(summary: NDArray[Any], columns: Sequence[str], name: str) -> NDArray[Any]:
    """The column of `summary` [N, S] called `name`; raise InvalidArgument when the task has none of that name."""
    if name not in columns:
        raise InvalidArgument(f"the summary has no column {name}; it has {', '.join(columns)}")
    picked: NDArray[Any] = summary[:, columns.index(name)]
    return picked


@dataclass(frozen=True)
class Said:
    """What an agent said since its last piece: tokens int32 [T], and text where its model has a tokenizer.

    `end`: None while it goes on; then "length", or "stop" when it said a token to stop at.
    """

    ordinal: int
    tokens: NDArray[np.int32]
    text: str
    end: str | None

    @classmethod
    def read(cls, message: SayResponse) -> Self:
        tokens = decode(message.tokens, np.int32, (None,))
        return cls(message.ordinal, tokens, message.text, _ENDS[message.end])


_ENDS = {SAY_END_UNSPECIFIED: None, SAY_END_LENGTH: "length", SAY_END_STOP: "stop"}
