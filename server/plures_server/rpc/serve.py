"""The gRPC server: services, health, reflection, limits."""

from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from plures.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    queue_pb2,
    queue_pb2_grpc,
    snapshot_pb2,
    snapshot_pb2_grpc,
    student_pb2,
    student_pb2_grpc,
    task_pb2,
    task_pb2_grpc,
)

from ..access.door import Door
from ..catalogue import Catalogue
from ..engine import Engine
from ..snapshots import Snapshots
from ..telemetry.calls import CallMetrics
from ..telemetry.tracing import NO_TRACING, Tracing
from .agents import AgentService
from .drain import Drain
from .errors import ErrorInterceptor
from .guard import GuardInterceptor
from .observing import ObserveInterceptor
from .queues import QueueService
from .snapshots import SnapshotService
from .students import StudentService
from .tasks import TaskService

MAX_MESSAGE_BYTES = 16 << 20
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Long-lived streams ping; without these a quiet stream is ended as abuse.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # A second server on the port is a mistake to report, not a peer to share with.
    ("grpc.so_reuseport", 0),
]


@dataclass(frozen=True)
class BindConfig:
    """Where to listen; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 50051

    def at(self, port: int) -> str:
        """The address with this port, as gRPC writes it."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


LIVENESS = "liveness"
"""What the health service is asked for whether the process lives; "" is whether it takes calls."""


@dataclass(frozen=True)
class Edge:
    """What every call passes: it is let in, counted, and told when all ends."""

    door: Door
    metrics: CallMetrics
    drain: Drain
    log_calls: bool = False
    max_rpcs: int | None = None
    tracing: Tracing = NO_TRACING

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """The outermost first."""
        observe = ObserveInterceptor(self.metrics, self.log_calls, self.tracing)
        return [observe, ErrorInterceptor(), GuardInterceptor(self.door)]


def make_server(
    engine: Engine, snapshots: Snapshots, queues: QueueService, catalogue: Catalogue, edge: Edge
) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """The server with all services added, and its health; bind and start it."""
    server = grpc.aio.server(options=_OPTIONS, interceptors=edge.interceptors(), maximum_concurrent_rpcs=edge.max_rpcs)
    student_pb2_grpc.add_StudentServiceServicer_to_server(StudentService(engine.students, catalogue), server)
    agent_pb2_grpc.add_AgentServiceServicer_to_server(AgentService(engine, snapshots, edge.drain), server)
    task_pb2_grpc.add_TaskServiceServicer_to_server(TaskService(engine), server)
    queue_pb2_grpc.add_QueueServiceServicer_to_server(queues, server)
    snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server(SnapshotService(snapshots), server)
    names = [
        file.DESCRIPTOR.services_by_name[service].full_name
        for file, service in (
            (student_pb2, "StudentService"),
            (agent_pb2, "AgentService"),
            (task_pb2, "TaskService"),
            (queue_pb2, "QueueService"),
            (snapshot_pb2, "SnapshotService"),
        )
    ]
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return server, servicer
