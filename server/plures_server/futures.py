"""Answers from the engine's thread to whoever waits, who may have gone."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


def answer(future: "Future[T]", outcome: T | BaseException) -> None:
    """Resolve the future with a result or an exception, unless it was cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class Mailbox:
    """Brings answers of other threads to an event loop: those that come together wake it once.

    To wake a loop takes a write to a pipe, which for small answers would be most of the work.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._come: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._woken = False
        self._answering: int | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """What the calling thread answers meanwhile is brought when it has answered all."""
        self._answering = threading.get_ident()
        try:
            yield
        finally:
            self._answering = None
            if self._come:
                self._wake()

    def awaited(self, future: "Future[T]") -> "asyncio.Future[T]":
        """As `asyncio.wrap_future`: the answer, for the loop; cancelling it cancels what was not begun."""
        mine: asyncio.Future[T] = self.loop.create_future()
        mine.add_done_callback(partial(_pass_on_cancellation, future))
        future.add_done_callback(partial(self._post, mine))
        return mine

    def _post(self, mine: "asyncio.Future[T]", future: "Future[T]") -> None:
        self._come.append((mine, future))
        if self._answering != threading.get_ident():
            self._wake()

    def _wake(self) -> None:
        # A loop that was woken and has not looked yet will find all that has come.
        if not self._woken and not self.loop.is_closed():
            self._woken = True
            self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._come:
            mine, future = self._come.popleft()
            if mine.done():
                continue
            if future.cancelled():
                mine.cancel()
            elif (error := future.exception()) is not None:
                mine.set_exception(error)
            else:
                mine.set_result(future.result())


def _pass_on_cancellation(future: "Future[Any]", mine: "asyncio.Future[Any]") -> None:
    if mine.cancelled():
        future.cancel()
