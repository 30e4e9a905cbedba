"""The blocking face of a work queue."""

from collections.abc import Iterator, Sequence

from ..aio.queue import AsyncQueue, AsyncQueues, DeadLetter, Keep, Submission
from ..items import Items, ResultBatch
from ..ordinals import OrdinalsLike
from ..records import QueueStats
from .loop import LoopThread


class Queue:
    """A work queue; the blocking twin of `AsyncQueue`, whose methods say what each does."""

    def __init__(self, loop: LoopThread, queue: AsyncQueue) -> None:
        self._loop, self._queue = loop, queue
        self.name = queue.name

    def __repr__(self) -> str:
        return repr(self._queue)

    def enqueue(
        self, items: Items, *, submit_id: str | None = None, priority: int = 0, ttl_s: float | None = None
    ) -> Submission:
        return self._loop.run(self._queue.enqueue(items, submit_id=submit_id, priority=priority, ttl_s=ttl_s))

    def attach(self, cohort: str, *, keep: Keep, ordinals: OrdinalsLike = None) -> None:
        self._loop.run(self._queue.attach(cohort, keep=keep, ordinals=ordinals))

    def detach(self, cohort: str) -> None:
        self._loop.run(self._queue.detach(cohort))

    def results(self, cursor: str = "", wait: bool = True) -> Iterator[ResultBatch]:
        batches = self._queue.results(cursor, wait)
        try:
            yield from self._loop.iterate(batches)
        finally:
            self._loop.run(batches.aclose())

    def pause(self) -> None:
        self._loop.run(self._queue.pause())

    def resume(self) -> None:
        self._loop.run(self._queue.resume())

    def cancel(self, submit_id: str | None = None) -> int:
        return self._loop.run(self._queue.cancel(submit_id))

    def dead(self, limit: int = 100) -> list[DeadLetter]:
        return self._loop.run(self._queue.dead(limit))

    def requeue(self, letters: Sequence[DeadLetter] | None = None) -> int:
        return self._loop.run(self._queue.requeue(letters))

    def forget(self, cursor: str) -> None:
        self._loop.run(self._queue.forget(cursor))

    def stats(self) -> QueueStats:
        return self._loop.run(self._queue.stats())

    def delete(self) -> None:
        self._loop.run(self._queue.delete())


class Queues:
    """The server's work queues."""

    def __init__(self, loop: LoopThread, queues: AsyncQueues) -> None:
        self._loop, self._queues = loop, queues

    def list(self) -> list[QueueStats]:
        return self._loop.run(self._queues.list())
