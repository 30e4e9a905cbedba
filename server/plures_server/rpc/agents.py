"""AgentService."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from plures.v1 import agent_pb2 as pb
from plures.v1 import agent_pb2_grpc

from .. import names
from ..cohort import Cohort
from ..durable.policy import Durability, durability_from, durability_message
from ..engine import Engine
from ..pool import Pool
from ..snapshots import Snapshots
from .act_stream import ActStream
from .convert import ordinals_from


class AgentService(agent_pb2_grpc.AgentServiceServicer):
    """Translates between messages and the engine's pool."""

    def __init__(self, engine: Engine, snapshots: Snapshots) -> None:
        self._engine = engine
        self._snapshots = snapshots

    async def StartCohort(self, request: pb.StartCohortRequest, context: Any) -> pb.StartCohortResponse:
        student, durability = names.parse(request.student, "students"), durability_from(request.durability)
        message = await self._engine.call(
            lambda pool: cohort_message(
                pool, pool.start(request.cohort_id, student, request.count, request.seed, durability)
            )
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
        durability = durability_from(request.durability)
        message = await self._engine.call(
            lambda pool: cohort_message(
                pool, pool.fork(source, ordinals, request.copies, request.cohort_id, request.seed, durability)
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
        snapshot, durability = names.parse(request.snapshot, "snapshots"), durability_from(request.durability)
        cohort = await self._snapshots.restore(snapshot, request.cohort_id, durability)
        return pb.RestoreResponse(cohort=await self._engine.call(lambda pool: cohort_message(pool, cohort)))

    async def GetPool(self, request: pb.GetPoolRequest, context: Any) -> pb.GetPoolResponse:
        usage = await self._engine.call(lambda pool: pool.usage())
        return pb.GetPoolResponse(
            agents=usage.agents,
            agents_free=usage.agents_free,
            bytes_used=usage.bytes_used,
            bytes_capacity=usage.bytes_capacity,
            device=str(self._engine.pool.device),
            tiers=[pb.TierUsage(**vars(tier)) for tier in usage.tiers],
        )

    async def Act(self, request_iterator: AsyncIterator[pb.ActRequest], context: Any) -> AsyncIterator[pb.ActResponse]:
        async with aclosing(ActStream(self._engine).serve(request_iterator)) as responses:
            async for response in responses:
                yield response


def cohort_message(pool: Pool, cohort: Cohort) -> pb.Cohort:
    steps = cohort.step[cohort.alive]
    # A cohort can have been retired between its restoration and this message.
    least, most = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
    return pb.Cohort(
        name=f"cohorts/{cohort.name}",
        student=f"students/{cohort.student.name}",
        count=cohort.count,
        alive=len(steps),
        seed=cohort.seed,
        parent=f"cohorts/{cohort.parent}" if cohort.parent else "",
        state_bytes=pool.own_bytes(cohort),
        min_step=least,
        max_step=most,
        durability=durability_message(Durability() if cohort.journal is None else cohort.journal.durability),
    )
