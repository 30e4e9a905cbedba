"""One channel to one server: deadlines on calls, and every failure as an exception of ours."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import grpc.aio
from plures.v1.agent_pb2_grpc import AgentServiceStub
from plures.v1.queue_pb2_grpc import QueueServiceStub
from plures.v1.snapshot_pb2_grpc import SnapshotServiceStub
from plures.v1.student_pb2_grpc import StudentServiceStub
from plures.v1.task_pb2_grpc import TaskServiceStub

from ..credentials import Credentials, Identified, trace_headers
from ..errors import DeadlineExceeded, FailedPrecondition
from ..status import from_rpc_error
from .ending import Ending

if TYPE_CHECKING:
    from plures.v1.agent_pb2_grpc import AgentServiceAsyncStub
    from plures.v1.queue_pb2_grpc import QueueServiceAsyncStub
    from plures.v1.snapshot_pb2_grpc import SnapshotServiceAsyncStub
    from plures.v1.student_pb2_grpc import StudentServiceAsyncStub
    from plures.v1.task_pb2_grpc import TaskServiceAsyncStub


MAX_MESSAGE_BYTES = 16 * 1024 * 1024
REPEATABLE = {
    "AgentService": ("GetCohort", "ListCohorts", "GetPool", "StartCohort", "Fork", "Merge"),
    "QueueService": ("GetQueue", "ListQueues"),
    "SnapshotService": ("ListSnapshots",),
    "StudentService": ("GetStudent", "ListStudents", "LoadStudent"),
    "TaskService": ("ListTasks",),
}
"""Calls that do the same, made once or twice: they change nothing, or bear a `request_id`."""
_RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": f"plures.v1.{service}", "method": name} for name in names],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
        for service, names in REPEATABLE.items()
    ]
}
OPTIONS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A peer that went away without a word is noticed within 40 s, also by a stream on which nothing moves.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A server that is just starting is found soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.service_config", json.dumps(_RETRIES)),
]

Request = TypeVar("Request")
Page = TypeVar("Page", bound="_Page")
Response = TypeVar("Response")
ManyAnswers: TypeAlias = "grpc.aio.UnaryStreamCall[Any, Response] | grpc.aio.StreamStreamCall[Any, Response]"


class _Page(Protocol):
    """A page of a list."""

    next_page_token: str


class Stubs:
    """An open channel and the services on it."""

    students: "StudentServiceAsyncStub"
    agents: "AgentServiceAsyncStub"
    tasks: "TaskServiceAsyncStub"
    queues: "QueueServiceAsyncStub"
    snapshots: "SnapshotServiceAsyncStub"

    def __init__(self, address: str, credentials: Credentials) -> None:
        self.channel = credentials.channel(address, OPTIONS)
        identified: Any = Identified(self.channel, lambda: credentials.metadata + trace_headers())
        self.students = StudentServiceStub(identified)
        self.agents = AgentServiceStub(identified)
        self.tasks = TaskServiceStub(identified)
        self.queues = QueueServiceStub(identified)
        self.snapshots = SnapshotServiceStub(identified)


class Wire:
    """The way to one server, opened at the first call, so that a client may be made before its event loop runs."""

    def __init__(self, address: str, timeout_s: float, credentials: Credentials | None = None) -> None:
        self.address = address
        self._credentials = credentials or Credentials()
        self.timeout_s = timeout_s
        self._stubs: Stubs | None = None
        self._closed = False

    @property
    def to(self) -> Stubs:
        """The services; raise FailedPrecondition once closed."""
        if self._closed:
            raise FailedPrecondition("this client is closed; open another")
        self._stubs = self._stubs or Stubs(self.address, self._credentials)
        return self._stubs

    async def call(self, method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
        """The answer to one request within the client's deadline."""
        try:
            return await method(request, timeout=self.timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self.address) from error

    async def pages(
        self, method: "grpc.aio.UnaryUnaryMultiCallable[Any, Page]", request: Any
    ) -> AsyncGenerator["Page", None]:
        """The pages of a list, from the first to the last."""
        while True:
            page = await self.call(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def answer(
        self, call: "grpc.aio.StreamUnaryCall[Request, Response]", requests: AsyncIterator[Request]
    ) -> Response:
        """The answer to a stream of requests, which ends early when the server answers early."""
        ending = Ending(call, self.address)
        try:
            await _send(call, requests)
            return await call
        except grpc.aio.AioRpcError as error:
            raise await ending.why(error) from error
        finally:
            call.cancel()

    async def messages(self, call: "ManyAnswers[Response]") -> AsyncGenerator[Response, None]:
        """The messages of a call, which is cancelled when the generator is closed before they end."""
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self.address) from error
        finally:
            call.cancel()

    async def ready(self, within_s: float) -> None:
        """Wait until the server takes calls; raise DeadlineExceeded when it does not within so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self.to.channel.channel_ready()
        except TimeoutError:
            raise DeadlineExceeded(f"no Plures server answered at {self.address} within {within_s:g} s") from None

    async def close(self) -> None:
        """Cancel what is under way and close the channel."""
        self._closed = True
        if self._stubs is not None:
            await self._stubs.channel.close()


async def _send(call: "grpc.aio.StreamUnaryCall[Request, Any]", requests: AsyncIterator[Request]) -> None:
    async for request in requests:
        try:
            await call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # The call has an answer already, which says why.
            return
    await call.done_writing()
