"""Calls of every method there is, with whatever bytes, and what a server may answer to them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from plures.v1 import agent_pb2, queue_pb2, snapshot_pb2, student_pb2, task_pb2

from .messages import at_random, mutated

FILES = (agent_pb2, queue_pb2, snapshot_pb2, student_pb2, task_pb2)
METHODS: list[MethodDescriptor] = [
    method for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods
]

# A server that answers with these has met what it did not expect.
FAULTS = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL}


ANSWERS = 3
"""Of a stream, so many are read; then the call is cancelled."""
TIMEOUT_S = 20.0
FEEDS = {"Results": 0.1}
"""What has no end, and may have nothing to tell: for so many seconds it is listened to."""


@dataclass(frozen=True)
class Attacker:
    """Who calls, on a channel, as a tenant; `faults` are answers that a server never should give."""

    channel: grpc.Channel
    metadata: tuple[tuple[str, str], ...]
    faults: list[str] = field(default_factory=list)

    def send(self, method: MethodDescriptor, requests: list[bytes]) -> grpc.StatusCode:
        """Call the method with these, and say what was answered."""
        path = f"/{method.containing_service.full_name}/{method.name}"
        kind = ("stream" if method.client_streaming else "unary", "stream" if method.server_streaming else "unary")
        call = getattr(self.channel, "_".join(kind))(path)
        given: Any = iter(requests) if method.client_streaming else requests[0]
        try:
            answer = call(given, metadata=self.metadata, timeout=FEEDS.get(method.name, TIMEOUT_S))
            if method.server_streaming:
                self._read(answer, method)
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            code, details = error.code(), error.details() or ""
            if code in FAULTS:
                self.faults.append(f"{path} answered {code}: {details} to {requests[:3]!r}")
            return code

    def _read(self, answer: Any, method: MethodDescriptor) -> None:
        kind = GetMessageClass(method.output_type)
        try:
            for number, data in enumerate(answer):
                error = getattr(kind.FromString(data), "error", None)
                if getattr(error, "reason", "") == "INTERNAL":
                    self.faults.append(f"{method.full_name}: {error}")
                if number >= ANSWERS and not method.client_streaming:
                    break
        finally:
            answer.cancel()


def attacks(rng: random.Random) -> Iterator[tuple[MethodDescriptor, list[bytes]]]:
    """Calls without end: messages at random, one in four of them damaged."""
    while True:
        method = rng.choice(METHODS)
        count = rng.choice((1, 2, 8)) if method.client_streaming else 1
        yield method, [_bytes(at_random(method.input_type, rng), rng) for _ in range(count)]


def _bytes(message: Message, rng: random.Random) -> bytes:
    data = message.SerializeToString()
    return mutated(data, rng) if rng.random() < 0.25 else data
