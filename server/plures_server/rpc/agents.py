"""AgentService."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from plures.v1 import agent_pb2 as pb
from plures.v1 import agent_pb2_grpc, become_pb2, lineage_pb2

from .. import names
from ..access import caller
from ..cohort import Cohort
from ..durable.policy import Durability, durability_from, durability_message
from ..engine import Engine
from ..horizon import policy_from
from ..lineage import history
from ..merge import merge
from ..pool import Pool
from ..snapshots import Snapshots
from ..transfer import Progress
from . import become_stream, say_stream
from .act_stream import ActStream, beyond_horizon
from .convert import ordinals_from
from .drain import Drain
from .lineage import lineage_messages
from .merging import merge_request
from .once import Once
from .paging import page_of
from .snapshots import progress_message, snapshot_message


class AgentService(agent_pb2_grpc.AgentServiceServicer):
    """Translates between messages and the engine's pool."""

    def __init__(self, engine: Engine, snapshots: Snapshots, drain: Drain) -> None:
        self._engine = engine
        self._drain = drain
        self._snapshots = snapshots
        self._once = Once()

    async def StartCohort(self, request: pb.StartCohortRequest, context: Any) -> pb.StartCohortResponse:
        student, durability = names.parse_student(request.student), durability_from(request.durability)
        policy = policy_from(request.horizon_policy)

        def start(pool: Pool) -> pb.Cohort:
            return cohort_message(
                pool, pool.start(request.cohort_id, student, request.count, request.seed, durability, policy)
            )

        message = await self._once.do(caller.tenant.get(), request, lambda: self._engine.call(start))
        return pb.StartCohortResponse(cohort=message)

    async def GetCohort(self, request: pb.GetCohortRequest, context: Any) -> pb.GetCohortResponse:
        name = names.parse(request.name, "cohorts")
        message = await self._engine.call(lambda pool: cohort_message(pool, pool.get(name)))
        return pb.GetCohortResponse(cohort=message)

    async def ListCohorts(self, request: pb.ListCohortsRequest, context: Any) -> pb.ListCohortsResponse:
        def listed(pool: Pool) -> tuple[list[pb.Cohort], str]:
            page, token = page_of(pool.all(), request, lambda cohort: cohort.name)
            return [cohort_message(pool, cohort) for cohort in page], token

        messages, token = await self._engine.call(listed)
        return pb.ListCohortsResponse(cohorts=messages, next_page_token=token)

    async def Fork(self, request: pb.ForkRequest, context: Any) -> pb.ForkResponse:
        source, ordinals = names.parse(request.name, "cohorts"), ordinals_from(request.ordinals)
        durability, policy = durability_from(request.durability), policy_from(request.horizon_policy)

        def fork(pool: Pool) -> pb.Cohort:
            return cohort_message(
                pool, pool.fork(source, ordinals, request.copies, request.cohort_id, request.seed, durability, policy)
            )

        message = await self._once.do(caller.tenant.get(), request, lambda: self._engine.call(fork))
        return pb.ForkResponse(cohort=message)

    async def Retire(self, request: pb.RetireRequest, context: Any) -> pb.RetireResponse:
        name, ordinals = names.parse(request.name, "cohorts"), ordinals_from(request.ordinals)
        return pb.RetireResponse(retired=await self._engine.call(lambda pool: pool.retire(name, ordinals)))

    async def Merge(self, request: pb.MergeRequest, context: Any) -> pb.MergeResponse:
        wanted = merge_request(request)
        cohort = await self._once.do(
            caller.tenant.get(), request, lambda: self._engine.drive(merge(self._engine.pool, wanted))
        )
        return pb.MergeResponse(cohort=await self._engine.call(lambda pool: cohort_message(pool, cohort)))

    async def Say(self, request: pb.SayRequest, context: Any) -> AsyncIterator[pb.SayResponse]:
        async with aclosing(say_stream.serve(self._engine, request)) as responses:
            async for response in responses:
                yield response

    async def GetLineage(
        self, request: lineage_pb2.GetLineageRequest, context: Any
    ) -> AsyncIterator[lineage_pb2.GetLineageResponse]:
        name, ordinals = names.parse(request.name, "cohorts"), ordinals_from(request.ordinals)
        lineage, rows, until = await self._engine.call(lambda pool: pool.lineage(name, ordinals))
        for response in lineage_messages(await asyncio.to_thread(history, lineage, rows, until)):
            yield response

    async def Snapshot(self, request: pb.SnapshotRequest, context: Any) -> AsyncIterator[pb.SnapshotResponse]:
        name, ordinals = names.parse(request.name, "cohorts"), ordinals_from(request.ordinals)
        async with aclosing(self._snapshots.writing(name, request.snapshot_id, ordinals)) as events:
            async for event in events:
                if isinstance(event, Progress):
                    yield pb.SnapshotResponse(progress=progress_message(event))
                else:
                    yield pb.SnapshotResponse(snapshot=snapshot_message(event))

    async def Restore(self, request: pb.RestoreRequest, context: Any) -> AsyncIterator[pb.RestoreResponse]:
        snapshot, ordinals = names.parse(request.snapshot, "snapshots"), ordinals_from(request.ordinals)
        restoring = self._snapshots.restoring(
            snapshot, request.cohort_id, ordinals, durability_from(request.durability)
        )
        async with aclosing(restoring) as events:
            async for event in events:
                if isinstance(event, Progress):
                    yield pb.RestoreResponse(progress=progress_message(event))
                else:
                    yield pb.RestoreResponse(cohort=await self._engine.call(partial(cohort_message, cohort=event)))

    async def GetPool(self, request: pb.GetPoolRequest, context: Any) -> pb.GetPoolResponse:
        tenant = caller.tenant.get()
        usage = await self._engine.call(lambda pool: pool.usage(tenant))
        return pb.GetPoolResponse(
            agents=usage.agents,
            agents_free=usage.agents_free,
            bytes_used=usage.bytes_used,
            bytes_capacity=usage.bytes_capacity,
            device=str(self._engine.pool.device),
            agent_steps=self._engine.pool.steps.agent_steps,
            waves=self._engine.pool.steps.waves,
            waiting=self._engine.waiting,
            tiers=[pb.TierUsage(**vars(tier)) for tier in usage.tiers],
        )

    async def Act(self, request_iterator: AsyncIterator[pb.ActRequest], context: Any) -> AsyncIterator[pb.ActResponse]:
        stream = ActStream(self._engine, self._drain)
        async with aclosing(stream.serve(request_iterator)) as responses:
            async for response in responses:
                yield response
        context.set_trailing_metadata(beyond_horizon(stream.beyond))

    async def Become(
        self, request_iterator: AsyncIterator[become_pb2.BecomeRequest], context: Any
    ) -> AsyncIterator[become_pb2.BecomeResponse]:
        async with aclosing(become_stream.serve(self._engine, aiter(request_iterator))) as responses:
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
        horizon_policy=pb.HorizonPolicy.ValueType(cohort.horizon_policy),
        durability=durability_message(Durability() if cohort.journal is None else cohort.journal.durability),
    )
