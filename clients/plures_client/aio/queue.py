"""A handle on one work queue: put items on it, let cohorts work it, read what came of them."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import uuid4

from plures.v1.queue_pb2 import (
    KEEP_LEARNING,
    KEEP_NOTHING,
    AttachRequest,
    DeleteQueueRequest,
    DetachRequest,
    EnqueueRequest,
    GetQueueRequest,
    ResultsRequest,
)

from .. import ordinals as wire_ordinals
from ..errors import InvalidArgument
from ..items import Items, ResultBatch
from ..names import full, short
from ..ordinals import OrdinalsLike
from ..records import QueueStats
from ..status import from_item_error
from .wire import Wire

Keep: TypeAlias = Literal["nothing", "learning"]
KEEPS = {"nothing": KEEP_NOTHING, "learning": KEEP_LEARNING}

# 20 bytes an item and 4 a parameter: well below the largest message, and cut alike when a submission is repeated.
ITEMS_A_MESSAGE = 32_768


@dataclass(frozen=True)
class Submission:
    """Items on the queue by a submission, and whether all of it had been made before."""

    submit_id: str
    accepted: int
    duplicate: bool


class AsyncQueue:
    """A work queue, which begins with its first item. Making a handle asks nothing of the server."""

    def __init__(self, wire: Wire, name: str) -> None:
        self._wire = wire
        self.name = short(name)

    def __repr__(self) -> str:
        return f"<queue {self.name} at {self._wire.address}>"

    async def enqueue(self, items: Items, *, submit_id: str | None = None) -> Submission:
        """Put items on the queue; the same items under the same `submit_id` are put there once, however often.

        Raises:
            The error of the first message of items that is refused; those before it are on the queue.
        """
        submit_id = submit_id or uuid4().hex
        requests = self._requests(items, submit_id)
        accepted, duplicates = 0, []
        async with aclosing(self._wire.messages(self._wire.to.queues.Enqueue(requests))) as responses:
            async for response in responses:
                if response.HasField("error"):
                    raise from_item_error(response.error)
                accepted += response.accepted
                duplicates.append(response.duplicate)
        return Submission(submit_id, accepted, bool(duplicates) and all(duplicates))

    async def attach(self, cohort: str, *, keep: Keep, ordinals: OrdinalsLike = None) -> None:
        """Let a cohort's agents work the queue, one item each at a time, until it is detached.

        `keep="nothing"`: each item starts from the agent as it is now; `"learning"`: it goes on from item to item.
        """
        if keep not in KEEPS:
            raise InvalidArgument(f"keep={keep!r} given; it is one of {', '.join(KEEPS)}")
        request = AttachRequest(
            queue=self._full,
            cohort=full("cohorts", cohort),
            ordinals=wire_ordinals.encode(ordinals),
            keep=KEEPS[keep],
        )
        await self._wire.call(self._wire.to.queues.Attach, request)

    async def detach(self, cohort: str) -> None:
        """Stop a cohort; items it holds go back to the queue."""
        request = DetachRequest(queue=self._full, cohort=full("cohorts", cohort))
        await self._wire.call(self._wire.to.queues.Detach, request)

    def results(self, cursor: str = "") -> AsyncGenerator[ResultBatch, None]:
        """Results as they come, without end, from a cursor on; close the generator to stop (`aclosing`)."""
        return self._results(cursor)

    async def _results(self, cursor: str) -> AsyncGenerator[ResultBatch, None]:
        call = self._wire.to.queues.Results(ResultsRequest(queue=self._full, cursor=cursor))
        async with aclosing(self._wire.messages(call)) as messages:
            async for message in messages:
                yield ResultBatch.read(message)

    async def stats(self) -> QueueStats:
        """How the queue stands; raise NotFound when it has never had an item."""
        answer = await self._wire.call(self._wire.to.queues.GetQueue, GetQueueRequest(name=self._full))
        return QueueStats.read(answer.queue)

    async def delete(self) -> None:
        """Remove the queue with its items and results; cohorts that work it are detached."""
        await self._wire.call(self._wire.to.queues.DeleteQueue, DeleteQueueRequest(name=self._full))

    async def _requests(self, items: Items, submit_id: str) -> AsyncIterator[EnqueueRequest]:
        for part, message in enumerate(items.messages(ITEMS_A_MESSAGE)):
            yield EnqueueRequest(queue=self._full, submit_id=f"{submit_id}/{part}", items=message)

    @property
    def _full(self) -> str:
        return full("queues", self.name)
