"""What is done to cohorts, as entries of a log: the wire's own requests, and what only the server knows."""

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from plures.v1 import agent_pb2, log_pb2, task_pb2, tensor_pb2
from torch import Tensor

from ..rpc.convert import tensor_to

if TYPE_CHECKING:
    from ..act_request import ActRequest
    from ..cohort import Cohort, Ordinals
    from ..runs import RunRequest

Maker = Callable[[], log_pb2.LogEntry]


def act(request: "ActRequest", actions_crc32: int) -> log_pb2.LogEntry:
    """A step, as it was asked for; what was left out follows from the states."""
    message = agent_pb2.ActRequest(
        cohort=_cohort(request.cohort),
        ordinals=_ordinals(request.ordinals),
        observation=_given(request.observation),
        reward=_given(request.reward),
        done=_given(request.done),
        action=_given(request.action),
    )
    return log_pb2.LogEntry(act=log_pb2.LoggedAct(request=message, actions_crc32=actions_crc32))


def fork(source: str, ordinals: "Ordinals | None", copies: int, made: "Cohort") -> log_pb2.LogEntry:
    """A fork into the same family."""
    message = agent_pb2.ForkRequest(
        name=_cohort(source),
        ordinals=_ordinals(ordinals),
        copies=copies,
        cohort_id=made.name,
        seed=made.seed,
        horizon_policy=agent_pb2.HorizonPolicy.ValueType(made.horizon_policy),
    )
    return log_pb2.LogEntry(fork=message)


def retire(name: str, ordinals: "Ordinals | None") -> log_pb2.LogEntry:
    """The end of agents."""
    return log_pb2.LogEntry(retire=agent_pb2.RetireRequest(name=_cohort(name), ordinals=_ordinals(ordinals)))


def run(number: int, request: "RunRequest") -> log_pb2.LogEntry:
    """The beginning of a run."""
    message = task_pb2.RunTaskRequest(
        cohort=_cohort(request.cohort),
        ordinals=_ordinals(request.ordinals),
        task=f"tasks/{request.task}",
        parameters=_tensor(request.parameters),
        seed=request.seed,
    )
    if isinstance(request.steps, int):
        message.steps = request.steps
    else:
        message.steps_each.CopyFrom(tensor_to(request.steps.astype(np.uint32)))
    return log_pb2.LogEntry(run=log_pb2.LoggedRun(run=number, request=message))


def ticks(number: int, tick: int, ended: bool, actions_crc32: int) -> log_pb2.LogEntry:
    """How far a run is, and whether its agents were put back."""
    return log_pb2.LogEntry(ticks=log_pb2.LoggedTicks(run=number, tick=tick, ended=ended, actions_crc32=actions_crc32))


def states(cohort: "Cohort", ordinals: "Ordinals", pages: Tensor) -> log_pb2.LogEntry:
    """What agents are now, with their states [agents, page_floats]."""
    fields = {name: tensor_to(getattr(cohort, name)[ordinals]) for name in ("step", "last_action", "reward")}
    message = log_pb2.LoggedStates(
        cohort=_cohort(cohort.name), ordinals=_ordinals(ordinals), pages=_tensor(pages), **fields
    )
    return log_pb2.LogEntry(states=message)


def as_it_is(entry: log_pb2.LogEntry) -> log_pb2.LogEntry:
    """One that could not wait to be made."""
    return entry


def checksum(action: NDArray[np.int32]) -> int:
    """CRC-32 of actions."""
    return zlib.crc32(action.astype("<i4").tobytes())


def _cohort(name: str) -> str:
    return f"cohorts/{name}"


def _given(values: Tensor | None) -> tensor_pb2.Tensor | None:
    return None if values is None else _tensor(values)


def _tensor(values: Tensor) -> tensor_pb2.Tensor:
    return tensor_to(values.cpu().numpy())


def _ordinals(ordinals: "Ordinals | None") -> tensor_pb2.Ordinals:
    if ordinals is None:
        return tensor_pb2.Ordinals()
    if len(ordinals) > 1 and bool((np.diff(ordinals) == 1).all()):
        span = tensor_pb2.OrdinalRange(first=int(ordinals[0]), count=len(ordinals))
        return tensor_pb2.Ordinals(range=span)
    return tensor_pb2.Ordinals(packed=ordinals.astype("<u4").tobytes())
