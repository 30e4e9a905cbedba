"""Clients of an Act service, as many as wanted, in one asyncio process: what `bench_server.py` and the soak drive."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import numpy as np
from plures.v1.agent_pb2 import ActRequest, ActResponse
from plures.v1.agent_pb2_grpc import AgentServiceStub
from plures.v1.tensor_pb2 import DATA_TYPE_FLOAT32, OrdinalRange, Ordinals, Tensor

CONNECTIONS = 50
"""Most connections; with more clients, several streams share one."""
OPTIONS = [
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", 16 << 20),
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass(frozen=True)
class Load:
    """What clients got: answers a second over all of them, and milliseconds from question to answer of each."""

    answers_per_second: float
    p50_ms: float
    p99_ms: float


def step_of(cohort: str, first: int, count: int) -> ActRequest:
    """A step of consecutive agents, with a reward for each."""
    rewards = Tensor(data_type=DATA_TYPE_FLOAT32, shape=[count], data=bytes(4 * count))
    return ActRequest(
        cohort=cohort, ordinals=Ordinals(range=OrdinalRange(first=first, count=count)), reward=rewards, id=first
    )


async def lone_clients(address: str, cohort: str, clients: int, seconds: float) -> Load:
    """So many clients, each on a stream of its own with one agent of its own, who ask again when they are answered."""
    async with _stubs(address, min(clients, CONNECTIONS)) as stubs:
        calls = [stubs[n % len(stubs)].Act() for n in range(clients)]
        requests = [step_of(cohort, n, 1) for n in range(clients)]
        await asyncio.gather(*map(_ask, calls, requests))  # opens the streams, lets newborns have pages
        began = time.perf_counter()
        waits = await asyncio.gather(*(_ask_until(*one, began + seconds) for one in zip(calls, requests, strict=True)))
        spent = time.perf_counter() - began
        for call in calls:
            call.cancel()
    taken_ms = 1e3 * np.concatenate(waits)
    p50, p99 = np.percentile(taken_ms, [50, 99])
    return Load(len(taken_ms) / spent, float(p50), float(p99))


async def one_stream(address: str, requests: Sequence[ActRequest], window: int, seconds: float) -> Load:
    """One stream on which `window` requests are in flight, taken from `requests` in turn."""
    async with _stubs(address, 1) as (stub,):
        call = stub.Act()
        for request in requests:
            await _ask(call, request)
        taken = await _in_flight(call, requests, window, seconds)
        call.cancel()
    p50, p99 = np.percentile(1e3 * np.array(taken.waits), [50, 99])
    return Load(len(taken.waits) / taken.seconds, float(p50), float(p99))


@dataclass(frozen=True)
class _Taken:
    waits: list[float]
    seconds: float


async def _in_flight(call: Any, requests: Sequence[ActRequest], window: int, seconds: float) -> _Taken:
    sent: asyncio.Queue[float | None] = asyncio.Queue()
    room, waits, began = asyncio.Semaphore(window), list[float](), time.perf_counter()

    async def send() -> None:
        turn = 0
        while time.perf_counter() < began + seconds:
            await room.acquire()
            sent.put_nowait(time.perf_counter())
            await call.write(requests[turn % len(requests)])
            turn += 1
        sent.put_nowait(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        while (at := await sent.get()) is not None:
            _check(await call.read())
            waits.append(time.perf_counter() - at)
            room.release()
    return _Taken(waits, time.perf_counter() - began)


async def _ask(call: Any, request: ActRequest) -> None:
    await call.write(request)
    _check(await call.read())


async def _ask_until(call: Any, request: ActRequest, end: float) -> list[float]:
    waits = []
    while (asked := time.perf_counter()) < end:
        await _ask(call, request)
        waits.append(time.perf_counter() - asked)
    return waits


def _check(answer: ActResponse) -> None:
    if answer.HasField("error"):
        raise RuntimeError(f"the server refused: {answer.error.message}")


@asynccontextmanager
async def _stubs(address: str, connections: int) -> AsyncIterator[list[Any]]:
    async with AsyncExitStack() as stack:
        channels = [grpc.aio.insecure_channel(address, OPTIONS) for _ in range(connections)]
        for channel in channels:
            await stack.enter_async_context(channel)
        yield [AgentServiceStub(channel) for channel in channels]
