"""What the tests over the wire share: stubs, tensors, and refusals taken apart."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from numpy.typing import ArrayLike, NDArray
from plures.v1 import agent_pb2, snapshot_pb2, tensor_pb2
from plures.v1.agent_pb2_grpc import AgentServiceStub
from plures.v1.queue_pb2_grpc import QueueServiceStub
from plures.v1.snapshot_pb2_grpc import SnapshotServiceStub
from plures.v1.student_pb2_grpc import StudentServiceStub
from plures.v1.task_pb2_grpc import TaskServiceStub

TYPES = {"u1": 1, "i4": 2, "u4": 3, "i8": 4, "u8": 5, "f4": 6}
_names = count()


@dataclass(frozen=True)
class Wire:
    """A channel and the stubs on it."""

    channel: grpc.Channel
    students: StudentServiceStub
    agents: AgentServiceStub
    tasks: TaskServiceStub
    queues: QueueServiceStub
    snapshots: SnapshotServiceStub

    def start(self, count: int = 3, student: str = "bandit", seed: int = 0) -> str:
        """The resource name of a new cohort."""
        request = agent_pb2.StartCohortRequest(
            cohort_id=new_name(), student=f"students/{student}", count=count, seed=seed
        )
        return str(self.agents.StartCohort(request).cohort.name)

    def act(self, requests: Iterable[agent_pb2.ActRequest]) -> list[agent_pb2.ActResponse]:
        return list(self.agents.Act(iter(requests)))

    def cohort(self, name: str) -> agent_pb2.Cohort:
        return self.agents.GetCohort(agent_pb2.GetCohortRequest(name=name)).cohort

    def save(self, cohort: str, name: str, **more: Any) -> snapshot_pb2.Snapshot:
        """The snapshot, written to its end."""
        *_, last = self.agents.Snapshot(agent_pb2.SnapshotRequest(name=cohort, snapshot_id=name, **more))
        return last.snapshot

    def restore(self, snapshot: str, name: str, **more: Any) -> agent_pb2.Cohort:
        """The cohort, restored to its end."""
        *_, last = self.agents.Restore(agent_pb2.RestoreRequest(snapshot=snapshot, cohort_id=name, **more))
        return last.cohort

    def pool(self) -> agent_pb2.GetPoolResponse:
        """What is in use now, not what was done so far."""
        usage = self.agents.GetPool(agent_pb2.GetPoolRequest())
        for counter in ("agent_steps", "waves"):
            usage.ClearField(counter)
        return usage


@contextmanager
def connect(address: str) -> Iterator[Wire]:
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address, options) as channel:
        kinds = StudentServiceStub, AgentServiceStub, TaskServiceStub, QueueServiceStub, SnapshotServiceStub
        yield Wire(channel, *(kind(channel) for kind in kinds))


def new_name() -> str:
    return f"n{next(_names)}"


def tensor(values: ArrayLike, dtype: str = "f4") -> tensor_pb2.Tensor:
    array = np.asarray(values, f"<{dtype}")
    return tensor_pb2.Tensor(data_type=TYPES[dtype], shape=array.shape, data=array.tobytes())


def array(message: tensor_pb2.Tensor) -> NDArray[Any]:
    names = {number: name for name, number in TYPES.items()}
    return np.frombuffer(message.data, f"<{names[message.data_type]}").reshape(tuple(message.shape))


def packed(*ordinals: int) -> tensor_pb2.Ordinals:
    return tensor_pb2.Ordinals(packed=np.array(ordinals, "<u4").tobytes())


def span(first: int, count: int) -> tensor_pb2.Ordinals:
    return tensor_pb2.Ordinals(range=tensor_pb2.OrdinalRange(first=first, count=count))


@dataclass(frozen=True)
class Refusal:
    """What a failed call said."""

    code: str
    reason: str
    message: str


def refusal(call: Callable[[], Any]) -> Refusal:
    """How the call fails; its ErrorInfo must be there. A stream is read to its end."""
    with pytest.raises(grpc.RpcError) as refused:
        _whole_answer(call)
    status = rpc_status.from_call(refused.value)
    assert status is not None, f"no details: {refused.value}"
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.domain == "plures"
    return Refusal(refused.value.code().name, info.reason, refused.value.details())


def _whole_answer(call: Callable[[], Any]) -> Any:
    answer = call()
    return list(answer) if hasattr(answer, "__next__") else answer


def item_refusal(error: tensor_pb2.ItemError) -> Refusal:
    codes = {code.value[0]: code.name for code in grpc.StatusCode}
    return Refusal(codes[error.code], error.reason, error.message)
