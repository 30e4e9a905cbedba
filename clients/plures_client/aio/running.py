"""A task that runs on the server, as seen from here: its progress and records as they come, its result at the end."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from plures.v1.task_pb2 import RunSummary, RunTaskRequest

from .. import ordinals as wire_ordinals
from ..errors import DataLoss, FailedPrecondition
from ..items import parameter_rows
from ..names import full
from ..ordinals import OrdinalsLike
from ..results import RunProgress, RunRecord, RunResult
from ..tensors import decode, encode
from ..whole import whole
from .catalogue import AsyncTasks
from .wire import Wire

Number = TypeVar("Number", np.int32, np.float32)


class AsyncRun:
    """One run: iterate over it for `RunProgress` and `RunRecord`s, or go straight to its `result`.

    It begins when it is first iterated over. Leaving `async with`, or `cancel`, ends it on the server; steps already
    made stay made.
    """

    def __init__(self, wire: Wire, request: RunTaskRequest, parameters: Mapping[str, ArrayLike] | ArrayLike) -> None:
        self._wire, self._request, self._parameters = wire, request, parameters
        self._gathered = Gathered()
        self._events = self._begin()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cancel()

    def __aiter__(self) -> AsyncGenerator[RunProgress | RunRecord, None]:
        return self._events

    async def result(self) -> RunResult:
        """Wait for the end of the run; raise FailedPrecondition when it was cancelled before."""
        async for _ in self._events:
            pass
        return self._gathered.result()

    async def cancel(self) -> None:
        """End the run, unless it is over."""
        await self._events.aclose()

    async def _begin(self) -> AsyncGenerator[RunProgress | RunRecord, None]:
        task = await AsyncTasks(self._wire).get(self._request.task)
        self._gathered.columns = task.summary
        rows = parameter_rows(self._parameters, task.parameters)
        self._request.parameters.CopyFrom(encode(rows, np.float32))
        async with aclosing(self._wire.messages(self._wire.to.tasks.RunTask(self._request))) as messages:
            async for message in messages:
                match message.WhichOneof("event"):
                    case "progress":
                        yield self._gathered.add_progress(RunProgress.read(message.progress))
                    case "record":
                        yield self._gathered.add_record(RunRecord.read(message.record))
                    case "summary":
                        self._gathered.add_summary(message.summary)


class Gathered:
    """What a run has told so far."""

    def __init__(self) -> None:
        self.columns: tuple[str, ...] = ()
        self._progress: RunProgress | None = None
        self._records: list[RunRecord] = []
        self._summary: list[NDArray[np.float32]] = []

    def add_progress(self, progress: RunProgress) -> RunProgress:
        self._progress = progress
        return progress

    def add_record(self, record: RunRecord) -> RunRecord:
        self._records.append(record)
        return record

    def add_summary(self, message: RunSummary) -> None:
        so_far = sum(map(len, self._summary))
        if message.first != so_far:
            raise DataLoss(f"the server sent the summary of agent {message.first}, where {so_far} is next")
        self._summary.append(decode(message.summary, np.float32, (None, len(self.columns))))

    def result(self) -> RunResult:
        if not self._summary or self._progress is None:
            raise FailedPrecondition("the run was ended before its summary came; run it again")
        return RunResult(
            summary=np.concatenate(self._summary),
            columns=self.columns,
            actions=_stack([record.action for record in self._records], np.int32),
            rewards=_stack([record.reward for record in self._records], np.float32),
            agent_steps=self._progress.agent_steps,
            seconds=self._progress.seconds,
        )


def run_request(
    cohort: str, task: str, *, steps: int | NDArray[np.integer], seed: int, record: int, ordinals: OrdinalsLike
) -> RunTaskRequest:
    request = RunTaskRequest(
        cohort=full("cohorts", cohort),
        ordinals=wire_ordinals.encode(ordinals),
        task=full("tasks", task),
        seed=whole(seed, 64, "seed"),
        record=whole(record, 32, "record"),
    )
    if isinstance(steps, int | np.integer):
        request.steps = whole(steps, 32, "steps")
    else:
        request.steps_each.CopyFrom(encode(steps, np.uint32))
    return request


def _stack(parts: list[NDArray[Number]], dtype: type[Number]) -> NDArray[Number]:
    return np.concatenate(parts) if parts else np.empty((0, 0), dtype)
