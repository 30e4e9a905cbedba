"""Cohorts at work on queues: lease items, do each on a fork of a copy, complete, and only then keep what was learned.

L lanes: the attached agents, each doing one item at a time.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .cohort import Ordinals
from .engine import Engine
from .errors import AlreadyExists, PluresError, QueueUnavailable, UnknownQueue
from .lanes import Lanes
from .pool import Pool
from .queue.store import QueueStore
from .shift import Shift

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


class Attachments:
    """The cohorts that work queues on this server."""

    def __init__(self, engine: Engine, store: QueueStore) -> None:
        self._engine = engine
        self._store = store
        self._workers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._news: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for queue, cohort in list(self._workers):
            await self.detach(queue, cohort)

    async def attach(self, attachment: Attachment, ordinals: Ordinals | None) -> None:
        """Let agents work a queue; they are busy until detached. Raises AlreadyExists when their cohort does."""
        key = (attachment.queue, attachment.cohort)
        if key in self._workers:
            raise AlreadyExists(
                f"cohort {attachment.cohort!r} works queue {attachment.queue!r} already; detach it first"
            )
        lanes = await self._engine.call(lambda pool: _occupy(self._engine, pool, attachment, ordinals))
        worker = asyncio.create_task(self._work(attachment, lanes), name=f"{key[1]} on {key[0]}")
        self._workers[key] = worker

    async def detach(self, queue: str, cohort: str) -> None:
        """Stop a cohort; the items it holds go back unharmed. Raises UnknownQueue when it is not attached."""
        worker = self._workers.pop((queue, cohort), None)
        if worker is None:
            raise UnknownQueue(f"cohort {cohort!r} is not attached to queue {queue!r}")
        worker.cancel()
        await asyncio.wait({worker})

    async def detach_all(self, queue: str) -> None:
        """Stop every cohort that works the queue here."""
        for cohort in self.attached(queue):
            await self.detach(queue, cohort)

    def attached(self, queue: str) -> list[str]:
        """The cohorts that work the queue on this server."""
        return sorted(cohort for name, cohort in self._workers if name == queue)

    def announce(self, queue: str) -> None:
        """Something was put on the queue: whoever waits for it need not wait longer."""
        self._news[queue].set()

    async def _work(self, attachment: Attachment, lanes: Lanes) -> None:
        try:
            while True:
                await self._one_shift(attachment, lanes)
        except PluresError as error:
            log.error("%s stopped working %s: %s", attachment.cohort, attachment.queue, error)
            self._workers.pop((attachment.queue, attachment.cohort), None)
        finally:
            await self._engine.call(lambda pool: lanes.leave())

    async def _one_shift(self, attachment: Attachment, lanes: Lanes) -> None:
        shift = Shift(self._engine, self._store, attachment.queue, lanes)
        news = self._news[attachment.queue]
        news.clear()
        try:
            if await shift.begin():
                await shift.work()
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), IDLE_SECONDS)
        except QueueUnavailable as error:
            log.warning("%s waits for its queue: %s", attachment.cohort, error)
            await asyncio.sleep(RETRY_SECONDS)


def _occupy(engine: Engine, pool: Pool, attachment: Attachment, ordinals: Ordinals | None) -> Lanes:
    cohort = pool.get(attachment.cohort)
    chosen = pool.select(cohort, ordinals)
    cohort.busy[chosen] = True
    return Lanes(pool, engine.steppers[cohort.student.name], cohort, chosen, attachment.keep_learning)
