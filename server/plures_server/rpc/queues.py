"""QueueService."""

from collections.abc import AsyncIterator
from typing import Any

from plures.v1 import queue_pb2 as pb
from plures.v1 import queue_pb2_grpc

from .. import names
from ..attachments import Attachment, Attachments
from ..errors import InvalidArgument, PluresError
from ..lanes import check_items
from ..queue.items import ItemBatch
from ..queue.store import QueueStore
from .convert import ordinals_from
from .errors import item_error

RESULTS_AT_ONCE = 64
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
            found = await self._store.results(queue, cursor, RESULTS_AT_ONCE, WAIT_MS)
            for at, payload in found:
                response = pb.ResultsResponse.FromString(payload)
                response.cursor = cursor = at
                yield response

    async def GetQueue(self, request: pb.GetQueueRequest, context: Any) -> pb.GetQueueResponse:
        queue = names.parse(request.name, "queues")
        stats = await self._store.stats(queue)
        attached = [f"cohorts/{cohort}" for cohort in self._attachments.attached(queue)]
        return pb.GetQueueResponse(
            queue=pb.Queue(
                name=request.name,
                ready=stats.ready,
                leased=stats.leased,
                done=stats.done,
                dead=stats.dead,
                last_error=stats.last_error,
                attached=attached,
            )
        )

    async def DeleteQueue(self, request: pb.DeleteQueueRequest, context: Any) -> pb.DeleteQueueResponse:
        queue = names.parse(request.name, "queues")
        await self._attachments.detach_all(queue)
        await self._store.delete(queue)
        return pb.DeleteQueueResponse()

    async def _enqueue(self, request: pb.EnqueueRequest) -> pb.EnqueueResponse:
        queue, items = names.parse(request.queue, "queues"), ItemBatch.decode(request.items)
        check_items(items)
        enqueued = await self._store.enqueue(queue, request.submit_id, items.split())
        self._attachments.announce(queue)
        return pb.EnqueueResponse(submit_id=request.submit_id, accepted=enqueued.items, duplicate=enqueued.duplicate)
