"""AgentService."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from plures.v1 import agent_pb2 as pb
from plures.v1 import agent_pb2_grpc

from .. import names
from ..act_request import MAX_AGENTS, ActRequest, ActResult
from ..cohort import Cohort
from ..engine import Engine
from ..errors import PluresError
from ..pool import Pool
from ..snapshots import Snapshots
from .convert import ordinals_from, tensor_to, torch_from
from .errors import item_error

MAX_IN_FLIGHT = 64
"""Requests of one Act stream taken in before their answers are sent: what a slow reader can pile up."""


class AgentService(agent_pb2_grpc.AgentServiceServicer):
    """Translates between messages and the engine's pool."""

    def __init__(self, engine: Engine, snapshots: Snapshots) -> None:
        self._engine = engine
        self._snapshots = snapshots

    async def StartCohort(self, request: pb.StartCohortRequest, context: Any) -> pb.StartCohortResponse:
        student = names.parse(request.student, "students")
        message = await self._engine.call(
            lambda pool: cohort_message(pool, pool.start(request.cohort_id, student, request.count, request.seed))
        )
        return pb.StartCohortResponse(cohort=message)

    async def GetCohort(self, request: pb.GetCohortRequest, context: Any) -> pb.GetCohortResponse:
        name = names.parse(request.name, "cohorts")
        message = await self._engine.call(lambda pool: cohort_message(pool, pool.get(name)))
        return pb.GetCohortResponse(cohort=message)

    async def ListCohorts(self, request: pb.ListCohortsRequest, context: Any) -> pb.ListCohortsResponse:
        messages = await self._engine.call(lambda pool: [cohort_message(pool, cohort) for cohort in pool.all()])
        return pb.ListCohortsResponse(cohorts=messages)

    async def Fork(self, request: pb.ForkRequest, context: Any) -> pb.ForkResponse:
        source, ordinals = names.parse(request.name, "cohorts"), ordinals_from(request.ordinals)
        message = await self._engine.call(
            lambda pool: cohort_message(
                pool, pool.fork(source, ordinals, request.copies, request.cohort_id, request.seed)
            )
        )
        return pb.ForkResponse(cohort=message)

    async def Retire(self, request: pb.RetireRequest, context: Any) -> pb.RetireResponse:
        name, ordinals = names.parse(request.name, "cohorts"), ordinals_from(request.ordinals)
        return pb.RetireResponse(retired=await self._engine.call(lambda pool: pool.retire(name, ordinals)))

    async def Snapshot(self, request: pb.SnapshotRequest, context: Any) -> pb.SnapshotResponse:
        written = await self._snapshots.write(names.parse(request.name, "cohorts"), request.snapshot_id)
        return pb.SnapshotResponse(
            snapshot=f"snapshots/{written.name}", agents=written.agents, bytes=written.bytes, digest=written.digest
        )

    async def Restore(self, request: pb.RestoreRequest, context: Any) -> pb.RestoreResponse:
        cohort = await self._snapshots.restore(names.parse(request.snapshot, "snapshots"), request.cohort_id)
        return pb.RestoreResponse(cohort=await self._engine.call(lambda pool: cohort_message(pool, cohort)))

    async def GetPool(self, request: pb.GetPoolRequest, context: Any) -> pb.GetPoolResponse:
        usage = await self._engine.call(lambda pool: pool.usage())
        return pb.GetPoolResponse(
            agents=usage.agents,
            agents_free=usage.agents_free,
            bytes_used=usage.bytes_used,
            bytes_capacity=usage.bytes_capacity,
            device=str(self._engine.pool.device),
        )

    async def Act(self, request_iterator: AsyncIterator[pb.ActRequest], context: Any) -> AsyncIterator[pb.ActResponse]:
        answers: asyncio.Queue[tuple[int, asyncio.Future[ActResult]] | None] = asyncio.Queue(MAX_IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(self._take_in(request_iterator, answers))
            while (answer := await answers.get()) is not None:
                yield await _response(*answer)
            await reader

    async def _take_in(
        self,
        requests: AsyncIterator[pb.ActRequest],
        answers: "asyncio.Queue[tuple[int, asyncio.Future[ActResult]] | None]",
    ) -> None:
        async for request in requests:
            await answers.put((request.id, self._begin(request)))
        await answers.put(None)

    def _begin(self, request: pb.ActRequest) -> "asyncio.Future[ActResult]":
        """Hand the request to the engine at once, so that requests are carried out in the order sent."""
        try:
            return self._engine.act(act_request(request))
        except PluresError as error:
            refused: asyncio.Future[ActResult] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused


async def _response(identifier: int, future: "asyncio.Future[ActResult]") -> pb.ActResponse:
    try:
        result = await future
    except Exception as error:  # noqa: BLE001 - answered in its place, so that the stream goes on
        return pb.ActResponse(id=identifier, error=item_error(error))
    log_probs = None if result.log_probs is None else tensor_to(result.log_probs)
    return pb.ActResponse(id=identifier, action=tensor_to(result.action), log_probs=log_probs)


def act_request(request: pb.ActRequest) -> ActRequest:
    """The wire request as the engine takes it."""
    return ActRequest(
        names.parse(request.cohort, "cohorts"),
        ordinals_from(request.ordinals, most=MAX_AGENTS),
        observation=torch_from(request.observation, "observation") if request.HasField("observation") else None,
        reward=torch_from(request.reward, "reward") if request.HasField("reward") else None,
        done=torch_from(request.done, "done") if request.HasField("done") else None,
        action=torch_from(request.action, "action") if request.HasField("action") else None,
        want_log_probs=request.want_log_probs,
    )


def cohort_message(pool: Pool, cohort: Cohort) -> pb.Cohort:
    steps = cohort.step[cohort.alive]
    return pb.Cohort(
        name=f"cohorts/{cohort.name}",
        student=f"students/{cohort.student.name}",
        count=cohort.count,
        alive=len(steps),
        seed=cohort.seed,
        parent=f"cohorts/{cohort.parent}" if cohort.parent else "",
        state_bytes=pool.own_bytes(cohort),
        min_step=int(steps.min()),
        max_step=int(steps.max()),
    )
