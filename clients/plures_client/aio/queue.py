"""A handle on one work queue: put items on it, let cohorts work it, read what came of them."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias
from uuid import uuid4

from plures.v1.queue_pb2 import (
    KEEP_LEARNING,
    KEEP_NOTHING,
    AttachRequest,
    CancelItemsRequest,
    DeadItems,
    DeleteQueueRequest,
    DetachRequest,
    EnqueueRequest,
    ForgetResultsRequest,
    GetQueueRequest,
    ListDeadItemsRequest,
    ListQueuesRequest,
    PauseQueueRequest,
    RequeueDeadItemsRequest,
    ResultsRequest,
    ResumeQueueRequest,
)

from .. import ordinals as wire_ordinals
from ..errors import InvalidArgument, NotFound
from ..items import Items, ResultBatch
from ..names import full, short
from ..ordinals import OrdinalsLike
from ..records import QueueStats
from ..status import from_item_error
from ..whole import whole
from .wire import Wire

Keep: TypeAlias = Literal["nothing", "learning"]
KEEPS = {"nothing": KEEP_NOTHING, "learning": KEEP_LEARNING}

ITEMS_A_MESSAGE = 32_768
ITEM_BYTES, PARAMETER_BYTES = 20, 4
MESSAGE_BYTES = 8 << 20
"""Of items, half of what the largest message takes. Cut alike when a submission is repeated."""


@dataclass(frozen=True)
class Submission:
    """Items on the queue by a submission, and whether all of it had been made before."""

    submit_id: str
    accepted: int
    duplicate: bool


@dataclass(frozen=True)
class DeadLetter:
    """Items that were given up together, and why; `items` None when nobody could make them out."""

    id: str
    items: Items | None
    count: int
    error: str

    @classmethod
    def read(cls, message: DeadItems) -> Self:
        items = Items.read_items(message.items) if message.HasField("items") else None
        return cls(message.id, items, message.count, message.error)


class AsyncQueue:
    """A work queue, which begins with its first item. Making a handle asks nothing of the server."""

    def __init__(self, wire: Wire, name: str) -> None:
        self._wire = wire
        self.name = short(name)

    def __repr__(self) -> str:
        return f"<queue {self.name} at {self._wire.address}>"

    async def enqueue(
        self, items: Items, *, submit_id: str | None = None, priority: int = 0, ttl_s: float | None = None
    ) -> Submission:
        """Put items on the queue; the same items under the same `submit_id` are put there once, however often.

        Of one's own items those of higher `priority`, 0 to 9, go first; what nobody began after `ttl_s` is given up.

        Raises:
            The error of the first message of items that is refused; those before it are on the queue.
        """
        submit_id = submit_id or uuid4().hex
        terms = EnqueueRequest(queue=self._full, priority=whole(priority, 32, "priority"), ttl_ms=_ttl_ms(ttl_s))
        requests = self._requests(items, submit_id, terms)
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

    def results(self, cursor: str = "", wait: bool = True) -> AsyncGenerator[ResultBatch, None]:
        """Results from a cursor on as they come, without end; or only those that there are, without waiting for more.

        Close the generator to stop (`aclosing`).
        """
        return self._results(ResultsRequest(queue=self._full, cursor=cursor, only_present=not wait))

    async def _results(self, request: ResultsRequest) -> AsyncGenerator[ResultBatch, None]:
        call = self._wire.to.queues.Results(request)
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

    async def pause(self) -> None:
        """Begin nothing more until `resume`; what is under way goes on."""
        await self._wire.call(self._wire.to.queues.PauseQueue, PauseQueueRequest(name=self._full))

    async def resume(self) -> None:
        """Go on after `pause`."""
        await self._wire.call(self._wire.to.queues.ResumeQueue, ResumeQueueRequest(name=self._full))

    async def cancel(self, submit_id: str | None = None) -> int:
        """Take a submission's items off the queue, or all, waiting and under way; returns how many those were.

        Raises NotFound for a submission that the queue does not remember.
        """
        if submit_id is None:
            return await self._cancel(CancelItemsRequest(queue=self._full))
        cancelled, part = 0, 0
        with suppress(NotFound):
            while True:
                cancelled += await self._cancel(CancelItemsRequest(queue=self._full, submit_id=f"{submit_id}/{part}"))
                part += 1
        if part == 0:
            raise NotFound(f"queue {self.name} remembers no submission {submit_id!r}; leave it out to cancel all items")
        return cancelled

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """What was given up last, oldest first."""
        request = ListDeadItemsRequest(queue=self._full, limit=whole(limit, 32, "limit"))
        answer = await self._wire.call(self._wire.to.queues.ListDeadItems, request)
        return [DeadLetter.read(message) for message in answer.dead]

    async def requeue(self, letters: Sequence[DeadLetter] | None = None) -> int:
        """Give dead items, or all, another life with all its attempts; returns how many those were."""
        if letters is not None and not letters:
            return 0
        request = RequeueDeadItemsRequest(queue=self._full, ids=[letter.id for letter in letters or ()])
        return int((await self._wire.call(self._wire.to.queues.RequeueDeadItems, request)).requeued)

    async def forget(self, cursor: str) -> None:
        """Drop the results up to a cursor: all who want them have read them."""
        request = ForgetResultsRequest(queue=self._full, cursor=cursor)
        await self._wire.call(self._wire.to.queues.ForgetResults, request)

    async def _cancel(self, request: CancelItemsRequest) -> int:
        return int((await self._wire.call(self._wire.to.queues.CancelItems, request)).cancelled)

    async def _requests(self, items: Items, submit_id: str, terms: EnqueueRequest) -> AsyncIterator[EnqueueRequest]:
        row_bytes = ITEM_BYTES + PARAMETER_BYTES * items.parameters.shape[1]
        most = max(1, min(ITEMS_A_MESSAGE, MESSAGE_BYTES // row_bytes))
        for part, message in enumerate(items.messages(most)):
            request = EnqueueRequest(submit_id=f"{submit_id}/{part}", items=message)
            request.MergeFrom(terms)
            yield request

    @property
    def _full(self) -> str:
        return full("queues", self.name)


def _ttl_ms(ttl_s: float | None) -> int:
    """0 stands for no end, which nobody means who gives a short time."""
    if ttl_s is None:
        return 0
    if not 0.001 <= ttl_s < 2**32:
        raise InvalidArgument(f"ttl_s={ttl_s} given; it is a millisecond at least, and None for no end")
    return round(1_000 * ttl_s)


class AsyncQueues:
    """The server's work queues."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self) -> list[QueueStats]:
        """How all of them stand, by name."""
        pages = self._wire.pages(self._wire.to.queues.ListQueues, ListQueuesRequest())
        return [QueueStats.read(queue) async for page in pages for queue in page.queues]
