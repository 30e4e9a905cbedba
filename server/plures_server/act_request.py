"""One step of some agents, as a client asks for it: what it says, and whether it makes sense.

Shapes: B agents of a request, A actions.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from plures_students.spaces import check_elements
from torch import Tensor

from .cohort import Cohort, Ordinals
from .errors import InvalidArgument
from .stepper import Stepper
from .telemetry.tracing import Mark

MAX_AGENTS = 262_144
"""Most agents of one request, and of one wave of joined requests."""
MAX_LOG_PROB_BYTES = 14 << 20
"""Most bytes of log-probabilities in one answer: what a message takes beside the actions."""

_REWARDS = Box(-np.inf, np.inf, ())


@dataclass(frozen=True)
class ActResult:
    """action int32 [B]; log_probs float32 [B, A] and steps behind each agent int64 [B] when they were asked for.

    beyond: how many of the agents are at their horizon or beyond.
    """

    action: NDArray[np.int32]
    log_probs: NDArray[np.float32] | None
    step: NDArray[np.int64] | None = None
    beyond: int = 0


@dataclass(frozen=True)
class ActRequest:
    """One step of some agents. What is None takes its default, as the wire contract says."""

    cohort: str
    ordinals: Ordinals | None
    observation: Tensor | None = None
    reward: Tensor | None = None
    done: Tensor | None = None
    action: Tensor | None = None
    want_log_probs: bool = False
    want_steps: bool = False
    # The span of the call that asks, where that is traced.
    trace: Mark = field(default=None, compare=False)
    future: "Future[ActResult]" = field(default_factory=Future, compare=False)


def check_size(request: ActRequest, count: int, actions: int) -> None:
    """Raise InvalidArgument when so many agents are too many for one request, or for its answer."""
    if count > MAX_AGENTS:
        raise InvalidArgument(f"{count:,} agents in one request; at most {MAX_AGENTS:,} go in one")
    if request.want_log_probs and 4 * count * actions > MAX_LOG_PROB_BYTES:
        raise InvalidArgument(
            f"log-probabilities of {count:,} agents are too many for one answer; "
            f"with {actions} actions, ask for {MAX_LOG_PROB_BYTES // (4 * actions):,} agents at once"
        )


def perceived(
    request: ActRequest, cohort: Cohort, ordinals: Ordinals, stepper: Stepper
) -> tuple[Tensor, Tensor, Tensor]:
    """Observation, reward and done of a request, checked, with defaults for what was left out."""
    count = len(ordinals)
    check(request, cohort, count)
    observation, reward, done = request.observation, request.reward, request.done
    if observation is None:
        observation = stepper.blank_observation(count)
    if reward is None:
        reward = torch.from_numpy(cohort.reward[ordinals])
    if done is None:
        done = torch.zeros(count, dtype=torch.uint8)
    return observation, reward, done


def check(request: ActRequest, cohort: Cohort, count: int) -> None:
    """Raise InvalidArgument, naming row and value, unless so many agents of the cohort can be told this."""
    config = cohort.student.config
    if request.observation is None and config.observation_size != 1:
        raise InvalidArgument(f"observations are missing: {config.observation_space} has more than one element")
    _check_rows(count, observation=request.observation, reward=request.reward, done=request.done, action=request.action)
    if request.observation is not None:
        check_elements(config.observation_space, request.observation, "observation")
    if request.action is not None:
        check_elements(config.action_space, request.action, "action")
    if request.reward is not None:
        check_elements(_REWARDS, request.reward, "reward")
    if request.done is not None:
        _check_done(request.done)


def _check_rows(count: int, **tensors: Tensor | None) -> None:
    for name, tensor in tensors.items():
        if tensor is not None and (tensor.ndim == 0 or len(tensor) != count):
            raise InvalidArgument(f"{name} has shape {list(tensor.shape)} for {count} agents")


def _check_done(done: Tensor) -> None:
    if done.dtype != torch.uint8 or done.ndim != 1:
        raise InvalidArgument(f"done is {done.dtype} {list(done.shape)}; send UINT8 [agents]")
    if bool((wrong := done > 1).any()):
        row = int(wrong.nonzero()[0])
        raise InvalidArgument(f"done {int(done[row])} of row {row} is neither 0 nor 1")
