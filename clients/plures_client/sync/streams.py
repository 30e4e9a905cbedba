"""The blocking faces of what goes on while the caller does something else: runs and streams of steps."""

import asyncio
from collections.abc import Iterator
from typing import Self, Unpack

from ..aio.acting import AsyncActStream, Seen
from ..aio.running import AsyncRun
from ..ordinals import OrdinalsLike
from ..results import ActResult, RunProgress, RunRecord, RunResult
from .loop import LoopThread


class Run:
    """One run of a task; the blocking twin of `AsyncRun`. A loop over it that is left early leaves the run as it is."""

    def __init__(self, loop: LoopThread, run: AsyncRun) -> None:
        self._loop, self._run = loop, run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def __iter__(self) -> Iterator[RunProgress | RunRecord]:
        return self._loop.iterate(aiter(self._run))

    def result(self) -> RunResult:
        return self._loop.run(self._run.result())

    def cancel(self) -> None:
        self._loop.run(self._run.cancel())


class Pending:
    """A step in flight."""

    def __init__(self, loop: LoopThread, answer: "asyncio.Future[ActResult]") -> None:
        self._loop, self._answer = loop, answer

    def done(self) -> bool:
        """Whether `result` answers at once."""
        return self._answer.done()

    def result(self) -> ActResult:
        """Wait for the step's result, or raise why it was refused."""
        return self._loop.run(_wait(self._answer))


class ActStream:
    """A stream of steps of one cohort; the blocking twin of `AsyncActStream`."""

    def __init__(self, loop: LoopThread, stream: AsyncActStream) -> None:
        self._loop, self._stream = loop, stream

    def __enter__(self) -> Self:
        self._loop.run(self._stream.__aenter__())
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._loop.run(self._stream.__aexit__(kind, *rest))

    def send(
        self,
        ordinals: OrdinalsLike = None,
        *,
        want_log_probs: bool = False,
        want_steps: bool = False,
        **seen: Unpack[Seen],
    ) -> Pending:
        sent = self._stream.send(ordinals, want_log_probs=want_log_probs, want_steps=want_steps, **seen)
        return Pending(self._loop, self._loop.run(sent))

    def act(
        self,
        ordinals: OrdinalsLike = None,
        *,
        want_log_probs: bool = False,
        want_steps: bool = False,
        **seen: Unpack[Seen],
    ) -> ActResult:
        return self._loop.run(self._stream.act(ordinals, want_log_probs=want_log_probs, want_steps=want_steps, **seen))


async def _wait(answer: "asyncio.Future[ActResult]") -> ActResult:
    return await asyncio.shield(answer)
