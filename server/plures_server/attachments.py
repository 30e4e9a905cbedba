"""Cohorts at work on queues: lease items, do each on a fork of a copy, complete, and only then keep what was learned.

L lanes: the attached agents, each doing one item at a time.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .cohort import Ordinals
from .engine import Engine
from .errors import AlreadyExists, InvalidArgument, PluresError, UnknownQueue
from .lanes import Lanes
from .pool import Pool
from .queue.store import QueueStore
from .shift import Shift
from .tasks import TASKS, tasks_for

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.1
"""How long a cohort waits before it looks again whether other servers' clients have put items on its queue."""
RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Attachment:
    """Which cohort works which queue, and whether its copies keep what they learn."""

    queue: str
    cohort: str
    keep_learning: bool


@dataclass(frozen=True)
class _Worker:
    """The task that works, what wakes it when items come, and what makes it ask whether its items are still wanted."""

    task: "asyncio.Task[None]"
    news: asyncio.Event
    doubts: asyncio.Event


class Attachments:
    """The cohorts that work queues on this server."""

    def __init__(self, engine: Engine, store: QueueStore) -> None:
        self._engine = engine
        self._store = store
        self._workers: dict[tuple[str, str], _Worker] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop(list(self._workers))

    async def attach(self, attachment: Attachment, ordinals: Ordinals | None) -> None:
        """Let agents work a queue; they are busy until detached.

        Raises AlreadyExists when their cohort does, InvalidArgument when their student fits no task of this server.
        """
        self._check_is_new(attachment)
        lanes = await self._engine.borrow(
            lambda pool: _occupy(self._engine, pool, attachment, ordinals), lambda pool, lanes: lanes.leave()
        )
        try:
            self._check_is_new(attachment)
        except AlreadyExists:
            await self._engine.give_back(lambda pool: lanes.leave())
            raise
        news, doubts = asyncio.Event(), asyncio.Event()
        name = f"{attachment.cohort} on {attachment.queue}"
        worker = asyncio.create_task(self._work(attachment, lanes, news, doubts), name=name)
        # Not within the task: one that is cancelled at once never runs.
        worker.add_done_callback(lambda _: self._engine.give_back(lambda pool: lanes.leave()))
        self._workers[attachment.queue, attachment.cohort] = _Worker(worker, news, doubts)

    async def detach(self, queue: str, cohort: str) -> None:
        """Stop a cohort; the items it holds go back unharmed. Raises UnknownQueue when it is not attached."""
        if (queue, cohort) not in self._workers:
            raise UnknownQueue(f"cohort {cohort!r} is not attached to queue {queue!r}")
        await self._stop([(queue, cohort)])

    async def detach_all(self, queue: str) -> None:
        """Stop every cohort that works the queue here."""
        await self._stop([(queue, cohort) for cohort in self.attached(queue)])

    def attached(self, queue: str) -> list[str]:
        """The cohorts that work the queue on this server."""
        return sorted(cohort for name, cohort in self._workers if name == queue)

    def announce(self, queue: str) -> None:
        """Something was put on the queue: whoever waits for it need not wait longer."""
        for (name, _), worker in self._workers.items():
            if name == queue:
                worker.news.set()

    def doubt(self, queue: str) -> None:
        """Items of the queue may have been cancelled: whoever does some asks now whether their results will count."""
        for (name, _), worker in self._workers.items():
            if name == queue:
                worker.doubts.set()

    def _check_is_new(self, attachment: Attachment) -> None:
        if (attachment.queue, attachment.cohort) in self._workers:
            raise AlreadyExists(
                f"cohort {attachment.cohort!r} works queue {attachment.queue!r} already; detach it first"
            )

    async def _stop(self, keys: list[tuple[str, str]]) -> None:
        tasks = {self._workers.pop(key).task for key in keys}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
            # What comes after their leaving comes when they have left.
            await self._engine.give_back(lambda pool: None)

    async def _work(self, attachment: Attachment, lanes: Lanes, news: asyncio.Event, doubts: asyncio.Event) -> None:
        worker = asyncio.current_task()
        assert worker is not None
        # An error while items are given back takes the place of the cancellation, which counts all the same.
        while not worker.cancelling():
            news.clear()
            try:
                await self._one_shift(
                    attachment.queue, Shift(self._engine, self._store, attachment.queue, lanes, doubts), news
                )
            except PluresError as error:
                log.warning("%s waits to work on %s: %s", attachment.cohort, attachment.queue, error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                # The outermost frame of a worker: the cohort must work on.
                log.exception("%s failed at work on %s", attachment.cohort, attachment.queue)
                await asyncio.sleep(RETRY_SECONDS)

    async def _one_shift(self, queue: str, shift: Shift, news: asyncio.Event) -> None:
        worked = await shift.work()
        # After the work, never instead of it: where queues are full of what they ask of each other, work makes room.
        for reached in await self._store.relay(queue):
            self.announce(reached)
        if not worked:
            # Python 3.11's `wait_for` forgets a cancellation that comes together with the news.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await news.wait()


def _occupy(engine: Engine, pool: Pool, attachment: Attachment, ordinals: Ordinals | None) -> Lanes:
    cohort = pool.get(attachment.cohort)
    if not tasks_for(cohort.student):
        raise InvalidArgument(
            f"cohort {cohort.name!r} could do no item: the spaces of its student {cohort.student.name!r} are those of "
            f"none of the tasks {', '.join(sorted(TASKS))}; attach a cohort of another student"
        )
    chosen = pool.select(cohort, ordinals)
    cohort.busy[chosen] = True
    return Lanes(pool, engine.steppers[cohort.student.name], cohort, chosen, attachment.keep_learning)
