"""One Act stream: its requests go to the engine as they come, and are answered in the order sent."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from heapq import nlargest
from operator import itemgetter

import numpy as np
from plures.v1 import agent_pb2 as pb

from .. import names
from ..act_request import MAX_AGENTS, MAX_LOG_PROB_BYTES, ActRequest, ActResult
from ..engine import Engine
from ..telemetry.tracing import Mark
from .convert import ordinals_from, tensor_to, torch_from
from .drain import Drain
from .errors import item_error
from .room import Room

MAX_IN_FLIGHT = 64
"""Requests taken in before their answers are sent …"""
MAX_BYTES = 32 << 20
"""… and bytes of them with their answers, unless one alone takes more: what a slow reader can pile up."""
MOST_TOLD = 32
"""Cohorts that trailing metadata names."""


@dataclass(frozen=True)
class _Due:
    """An answer that is due."""

    id: int
    cohort: str
    bytes: int
    result: "asyncio.Future[ActResult]"


class ActStream:
    """Takes requests in and gives answers out at the same time."""

    def __init__(self, engine: Engine, drain: Drain) -> None:
        self._engine = engine
        self._drain = drain
        self._room = Room(MAX_IN_FLIGHT, MAX_BYTES)
        self._answers: asyncio.Queue[_Due | None] = asyncio.Queue()
        # Agents that the last answers counted beyond their horizon, by cohort.
        self.beyond: dict[str, int] = {}

    async def serve(self, requests: AsyncIterator[pb.ActRequest]) -> AsyncGenerator[pb.ActResponse, None]:
        """An answer to each request. A refused request is answered by an error, and the stream goes on."""
        # No TaskGroup: it makes an error of a generator that is closed, as this one is when its client leaves.
        reader = asyncio.create_task(self._take_in(requests))
        reader.add_done_callback(lambda _: self._answers.put_nowait(None))
        try:
            with self._drain.ends(reader):
                while (due := await self._answers.get()) is not None:
                    response = await _response(due)
                    if response.beyond_horizon:
                        self.beyond[due.cohort] = response.beyond_horizon
                    yield response
                    self._room.release(due.bytes)
            self._drain.check()
            await reader
        finally:
            reader.cancel()
            self._forget_rest()

    async def _take_in(self, requests: AsyncIterator[pb.ActRequest]) -> None:
        async for request in requests:
            held = request.ByteSize() + self._answer_bytes(request)
            await self._room.acquire(held)
            self._answers.put_nowait(_Due(request.id, request.cohort, held, self._begin(request)))

    def _answer_bytes(self, request: pb.ActRequest) -> int:
        """Of the tensors of an answer, when it is none of refusal."""
        cohort = self._engine.pool.find(request.cohort.rpartition("/")[2])
        if cohort is None:
            return 0
        named = {"range": request.ordinals.range.count, "packed": len(request.ordinals.packed) // 4}
        agents = min(named.get(request.ordinals.WhichOneof("selection") or "", cohort.count), MAX_AGENTS)
        log_probs = min(4 * agents * cohort.student.config.actions, MAX_LOG_PROB_BYTES)
        return 4 * agents + request.want_steps * 8 * agents + request.want_log_probs * log_probs

    def _begin(self, request: pb.ActRequest) -> "asyncio.Future[ActResult]":
        """Hand the request to the engine at once, so that requests are carried out in the order sent."""
        try:
            return self._engine.act(act_request(request, self._engine.meters.tracing.here()))
        except Exception as error:  # noqa: BLE001 - raised where the answer is made
            refused: asyncio.Future[ActResult] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused

    def _forget_rest(self) -> None:
        """Nobody asks any more how the requests in flight end; asyncio would complain of errors that nobody saw."""
        while not self._answers.empty():
            if (due := self._answers.get_nowait()) is not None and not due.result.cancel():
                with contextlib.suppress(asyncio.CancelledError):
                    due.result.exception()


def beyond_horizon(counts: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    """Trailing metadata: how many agents of which cohorts, by their short names, are beyond their horizon.

    The cohorts with most of them: metadata of more than 8 KiB would fail the call.
    """
    short = {name.rpartition("/")[2].rpartition(names.TENANT_MARK)[2]: count for name, count in counts.items()}
    most = nlargest(MOST_TOLD, short.items(), key=itemgetter(1))
    return tuple(("plures-beyond-horizon", f"{name}={count}") for name, count in most)


async def _response(due: _Due) -> pb.ActResponse:
    try:
        result = await due.result
    except Exception as error:  # noqa: BLE001 - answered in its place, so that the stream goes on
        return pb.ActResponse(id=due.id, error=item_error(error))
    log_probs = None if result.log_probs is None else tensor_to(result.log_probs)
    step = None if result.step is None else tensor_to(result.step.astype(np.uint64))
    action = tensor_to(result.action)
    return pb.ActResponse(id=due.id, action=action, log_probs=log_probs, step=step, beyond_horizon=result.beyond)


def act_request(request: pb.ActRequest, trace: Mark = None) -> ActRequest:
    """The wire request as the engine takes it."""
    return ActRequest(
        names.parse(request.cohort, "cohorts"),
        ordinals_from(request.ordinals, most=MAX_AGENTS),
        observation=torch_from(request.observation, "observation") if request.HasField("observation") else None,
        reward=torch_from(request.reward, "reward") if request.HasField("reward") else None,
        done=torch_from(request.done, "done") if request.HasField("done") else None,
        action=torch_from(request.action, "action") if request.HasField("action") else None,
        want_log_probs=request.want_log_probs,
        want_steps=request.want_steps,
        trace=trace,
    )
