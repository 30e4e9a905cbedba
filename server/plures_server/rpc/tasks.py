"""TaskService."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plures.v1 import task_pb2 as pb
from plures.v1 import task_pb2_grpc, tensor_pb2
from plures_students.spaces import space_to_json

from .. import names
from ..engine import Engine
from ..errors import InvalidArgument
from ..run import Progress
from ..runs import RunRequest, begin, put_back, run_to_end
from ..tasks import TASKS, Task
from .act_stream import beyond_horizon
from .convert import ordinals_from, tensor_to, torch_from, typed_array
from .paging import page_of

SUMMARY_ROWS = 65_536
"""Agents whose summaries go in one message."""


class TaskService(task_pb2_grpc.TaskServiceServicer):
    """Runs tasks beside the agents."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ListTasks(self, request: pb.ListTasksRequest, context: Any) -> pb.ListTasksResponse:
        page, token = page_of(sorted(TASKS), request, str)
        return pb.ListTasksResponse(tasks=[task_message(name, TASKS[name]) for name in page], next_page_token=token)

    async def RunTask(self, request: pb.RunTaskRequest, context: Any) -> AsyncIterator[pb.RunTaskResponse]:
        wanted = run_request(request)
        begun = await self._engine.borrow(
            lambda pool: begin(pool, self._engine.steppers[pool.get(wanted.cohort).student.name], wanted), put_back
        )
        async with aclosing(run_to_end(self._engine, begun)) as slices:
            async for progress in slices:
                for response in _progress_messages(progress):
                    yield response
        if begun.run.beyond:
            context.set_trailing_metadata(beyond_horizon({begun.cohort.name: begun.run.beyond}))
        summary = begun.run.episode.summary().cpu().numpy()
        for first in range(0, len(summary), SUMMARY_ROWS):
            rows = tensor_to(summary[first : first + SUMMARY_ROWS])
            yield pb.RunTaskResponse(summary=pb.RunSummary(first=first, summary=rows))


def run_request(request: pb.RunTaskRequest) -> RunRequest:
    """The wire request as the pool takes it."""
    return RunRequest(
        names.parse(request.cohort, "cohorts"),
        ordinals_from(request.ordinals),
        names.parse_task(request.task),
        torch_from(request.parameters, "parameters"),
        _steps(request),
        request.seed,
        request.record,
    )


def _steps(request: pb.RunTaskRequest) -> int | NDArray[np.int64]:
    if not request.HasField("steps_each"):
        return request.steps
    if request.steps:
        raise InvalidArgument(f"steps {request.steps} and steps_each exclude each other; leave one out")
    return typed_array(request.steps_each, "steps_each", tensor_pb2.DATA_TYPE_UINT32, axes=1).astype(np.int64)


def task_message(name: str, task: Task) -> pb.Task:
    return pb.Task(
        name=f"tasks/{name}",
        observation_space=json.dumps(space_to_json(task.observation_space)),
        action_space=json.dumps(space_to_json(task.action_space)),
        parameters=task.parameter_names,
        summary=task.summary_names,
    )


def _progress_messages(progress: Progress) -> list[pb.RunTaskResponse]:
    messages = [
        pb.RunTaskResponse(
            progress=pb.RunProgress(
                tick=progress.tick,
                ticks=progress.ticks,
                agent_steps=progress.agent_steps,
                seconds=progress.seconds,
                mean_reward=progress.mean_reward,
            )
        )
    ]
    if (record := progress.record) is not None:
        action, reward = tensor_to(record.action.astype(np.int32)), tensor_to(record.reward)
        messages.append(
            pb.RunTaskResponse(record=pb.RunRecord(first_tick=record.first_tick, action=action, reward=reward))
        )
    return messages
