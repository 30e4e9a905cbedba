"""QueueService."""

import contextlib
from collections.abc import AsyncIterator
from itertools import accumulate
from typing import Any

from google.protobuf.message import DecodeError
from plures.v1 import queue_pb2 as pb
from plures.v1 import queue_pb2_grpc

from .. import names
from ..access import caller
from ..attachments import Attachment, Attachments
from ..errors import InvalidArgument, PluresError, UnknownQueue
from ..lanes import check_items
from ..queue.chunks import DEFAULT_TENANT, DeadChunk, Terms
from ..queue.items import ItemBatch
from ..queue.store import QueueStore
from .convert import ordinals_from
from .errors import item_error
from .paging import page_of

RESULTS_AT_ONCE = 64
DEAD_AT_ONCE, MOST_DEAD_AT_ONCE = 100, 1_000
DEAD_BYTES = 12 << 20
"""Of dead items in one answer, which a message takes with room to spare."""
WAIT_MS = 1_000


class QueueService(queue_pb2_grpc.QueueServiceServicer):
    """Translates between messages, the store and the cohorts that work."""

    def __init__(self, store: QueueStore, attachments: Attachments) -> None:
        self._store = store
        self._attachments = attachments

    async def Enqueue(
        self, request_iterator: AsyncIterator[pb.EnqueueRequest], context: Any
    ) -> AsyncIterator[pb.EnqueueResponse]:
        async for request in request_iterator:
            try:
                yield await self._enqueue(request)
            except PluresError as error:
                yield pb.EnqueueResponse(submit_id=request.submit_id, error=item_error(error))

    async def Attach(self, request: pb.AttachRequest, context: Any) -> pb.AttachResponse:
        if request.keep not in (pb.KEEP_NOTHING, pb.KEEP_LEARNING):
            raise InvalidArgument(f"keep must be KEEP_NOTHING or KEEP_LEARNING, not {request.keep}")
        queue, cohort = names.parse(request.queue, "queues"), names.parse(request.cohort, "cohorts")
        attachment = Attachment(queue, cohort, request.keep == pb.KEEP_LEARNING)
        await self._attachments.attach(attachment, ordinals_from(request.ordinals))
        return pb.AttachResponse()

    async def Detach(self, request: pb.DetachRequest, context: Any) -> pb.DetachResponse:
        queue, cohort = names.parse(request.queue, "queues"), names.parse(request.cohort, "cohorts")
        await self._attachments.detach(queue, cohort)
        return pb.DetachResponse()

    async def Results(self, request: pb.ResultsRequest, context: Any) -> AsyncIterator[pb.ResultsResponse]:
        queue, cursor = names.parse(request.queue, "queues"), request.cursor
        await self._store.stats(queue)  # raises when there is no such queue
        while True:
            found = await self._store.results(queue, cursor, RESULTS_AT_ONCE, 0 if request.only_present else WAIT_MS)
            if not found and request.only_present:
                return
            if not found:
                # Whoever waits for the results of a queue that is gone is told so.
                await self._store.stats(queue)
            for at, payload in found:
                response = pb.ResultsResponse.FromString(payload)
                response.cursor = cursor = at
                yield response

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Any) -> pb.ListQueuesResponse:
        page, token = page_of(await self._store.queues(), request, lambda queue: queue)
        queues = []
        for queue in page:
            # One that was deleted meanwhile is none.
            with contextlib.suppress(UnknownQueue):
                queues.append(await self._told(queue))
        return pb.ListQueuesResponse(queues=queues, next_page_token=token)

    async def GetQueue(self, request: pb.GetQueueRequest, context: Any) -> pb.GetQueueResponse:
        return pb.GetQueueResponse(queue=await self._told(names.parse(request.name, "queues")))

    async def PauseQueue(self, request: pb.PauseQueueRequest, context: Any) -> pb.PauseQueueResponse:
        await self._store.pause(names.parse(request.name, "queues"))
        return pb.PauseQueueResponse()

    async def ResumeQueue(self, request: pb.ResumeQueueRequest, context: Any) -> pb.ResumeQueueResponse:
        queue = names.parse(request.name, "queues")
        await self._store.resume(queue)
        self._attachments.announce(queue)
        return pb.ResumeQueueResponse()

    async def CancelItems(self, request: pb.CancelItemsRequest, context: Any) -> pb.CancelItemsResponse:
        queue = names.parse(request.queue, "queues")
        cancelled = await self._store.cancel(queue, request.submit_id if request.HasField("submit_id") else None)
        self._attachments.doubt(queue)
        return pb.CancelItemsResponse(cancelled=cancelled)

    async def ListDeadItems(self, request: pb.ListDeadItemsRequest, context: Any) -> pb.ListDeadItemsResponse:
        limit = min(request.limit or DEAD_AT_ONCE, MOST_DEAD_AT_ONCE)
        dead = await self._store.dead_chunks(names.parse(request.queue, "queues"), limit)
        return pb.ListDeadItemsResponse(dead=_fitting([_dead_items(chunk) for chunk in dead]))

    async def RequeueDeadItems(self, request: pb.RequeueDeadItemsRequest, context: Any) -> pb.RequeueDeadItemsResponse:
        queue = names.parse(request.queue, "queues")
        requeued = await self._store.requeue(queue, request.ids or None)
        self._attachments.announce(queue)
        return pb.RequeueDeadItemsResponse(requeued=requeued)

    async def ForgetResults(self, request: pb.ForgetResultsRequest, context: Any) -> pb.ForgetResultsResponse:
        await self._store.forget_results(names.parse(request.queue, "queues"), request.cursor)
        return pb.ForgetResultsResponse()

    async def DeleteQueue(self, request: pb.DeleteQueueRequest, context: Any) -> pb.DeleteQueueResponse:
        queue = names.parse(request.name, "queues")
        await self._attachments.detach_all(queue)
        await self._store.delete(queue)
        return pb.DeleteQueueResponse()

    async def _told(self, queue: str) -> pb.Queue:
        stats = await self._store.stats(queue)
        return pb.Queue(
            name=f"queues/{queue}",
            ready=stats.ready,
            leased=stats.leased,
            done=stats.done,
            dead=stats.dead,
            last_error=stats.last_error,
            attached=[f"cohorts/{cohort}" for cohort in self._attachments.attached(queue)],
            cancelled=stats.cancelled,
            paused=stats.paused,
            incarnation=stats.incarnation,
        )

    async def _enqueue(self, request: pb.EnqueueRequest) -> pb.EnqueueResponse:
        queue, items = names.parse(request.queue, "queues"), ItemBatch.decode(request.items)
        if items.parent_N is not None:
            raise InvalidArgument("items have parents when items ask for them; leave parent out")
        check_items(items)
        terms = Terms(caller.tenant.get() or DEFAULT_TENANT, request.priority, request.ttl_ms or None)
        enqueued = await self._store.enqueue(queue, request.submit_id, items.split(), terms)
        self._attachments.announce(queue)
        return pb.EnqueueResponse(submit_id=request.submit_id, accepted=enqueued.items, duplicate=enqueued.duplicate)


def _fitting(dead: list[pb.DeadItems]) -> list[pb.DeadItems]:
    """The last of them that fit in an answer."""
    sizes = accumulate(items.ByteSize() for items in reversed(dead))
    return dead[len(dead) - sum(size <= DEAD_BYTES for size in sizes) :]


def _dead_items(chunk: DeadChunk) -> pb.DeadItems:
    told = pb.DeadItems(id=chunk.id, count=chunk.items, error=chunk.error)
    # What no worker could make out is told of without.
    with contextlib.suppress(InvalidArgument, DecodeError):
        told.items.CopyFrom(ItemBatch.load(chunk.payload).rows(chunk.rows).encode())
    return told
