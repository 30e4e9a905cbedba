"""An event loop in a thread of its own, on which blocking callers run the asyncio client."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import closing
from functools import partial
from typing import Any, ClassVar, TypeVar

from ..errors import Cancelled, FailedPrecondition

T = TypeVar("T")

INTERRUPT_S = 0.5
"""Within which Ctrl-C is acted on."""


class LoopThread:
    """The loop, shared by all blocking clients of a process and gone with the last of them.

    One for all, because gRPC's asyncio channels poll a single queue a process: loops that share it wake each other.
    """

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _shared: ClassVar["LoopThread | None"] = None

    def __init__(self) -> None:
        self._users = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="plures-client", daemon=True)
        self._thread.start()

    @classmethod
    def acquire(cls) -> "LoopThread":
        """The shared loop, to be released by whoever acquired it."""
        with cls._lock:
            cls._shared = cls._shared or cls()
            cls._shared._users += 1
            return cls._shared

    def release(self) -> None:
        """Let go of the loop; the last to do so ends its thread."""
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return
            LoopThread._shared = None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The outcome of `work`; when the caller is interrupted, `work` is first cancelled and waited for."""
        if self._loop.is_closed():
            work.close()
            raise FailedPrecondition("this client is closed; open another")
        if threading.current_thread() is self._thread:
            # It would wait for itself.
            work.close()
            raise FailedPrecondition(
                "a blocking client cannot be called from a callback of its own; do that when the call has returned"
            )
        outcome: Future[T] = Future()
        begun: list[asyncio.Task[T]] = []
        try:
            self._loop.call_soon_threadsafe(lambda: begun.append(self._begin(work, outcome)))
            return _await(outcome).result()
        except KeyboardInterrupt:
            self._loop.call_soon_threadsafe(lambda: _cancel(begun, work, outcome))
            _await(outcome)
            raise

    def iterate(self, source: AsyncIterator[T]) -> Iterator[T]:
        """The items of `source`, one by one."""
        while (item := self.run(_next(source))) is not None:
            yield item

    def _serve(self) -> None:
        with closing(self._loop):
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    def _begin(self, work: Coroutine[Any, Any, T], outcome: "Future[T]") -> "asyncio.Task[T]":
        task = self._loop.create_task(work)
        task.add_done_callback(partial(_settle, outcome))
        return task


def _await(outcome: "Future[T]") -> "Future[T]":
    # Python may miss a signal that arrives just before a wait begins, and acts on it only when the wait ends.
    while not wait([outcome], timeout=INTERRUPT_S).done:
        continue
    return outcome


def _settle(outcome: "Future[T]", task: "asyncio.Task[T]") -> None:
    if task.cancelled():
        outcome.set_exception(Cancelled("the call was cancelled; was its client closed?"))
    elif error := task.exception():
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


def _cancel(begun: list["asyncio.Task[T]"], work: Coroutine[Any, Any, T], outcome: "Future[T]") -> None:
    if begun:
        begun[0].cancel()
        return
    # The interrupt came before the work was handed over.
    work.close()
    outcome.set_exception(Cancelled("the call was interrupted before it began"))


async def _next(source: AsyncIterator[T]) -> T | None:
    return await anext(source, None)
