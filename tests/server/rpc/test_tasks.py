"""TaskService over a real channel: what a run tells, and agents that are free when its caller leaves."""

import json
import threading
import time

import grpc
import numpy as np
import pytest
from plures.v1 import agent_pb2 as ag
from plures.v1 import task_pb2 as ta

from .helpers import Wire, array, packed, refusal, span, tensor

FAIR = tensor([[0.2, 0.9]])


def run(wire: Wire, cohort: str, **changes: object) -> list[ta.RunTaskResponse]:
    wanted = {"task": "tasks/bandit", "parameters": FAIR, "steps": 4} | changes
    return list(wire.tasks.RunTask(ta.RunTaskRequest(cohort=cohort, **wanted)))


def events(responses: list[ta.RunTaskResponse], kind: str) -> list[object]:
    return [getattr(response, kind) for response in responses if response.WhichOneof("event") == kind]


def test_tasks_say_what_they_are(wire: Wire) -> None:
    tasks = wire.tasks.ListTasks(ta.ListTasksRequest()).tasks
    assert [task.name for task in tasks] == [
        f"tasks/{name}" for name in ("bandit", "branches", "maze", "minimise", "restless-bandit", "simplex")
    ]
    bandit = tasks[0]
    assert json.loads(bandit.observation_space) == {"type": "Discrete", "n": 1}
    assert json.loads(bandit.action_space) == {"type": "Discrete", "n": 2}
    assert list(bandit.parameters) == ["p_0", "p_1"]
    assert list(bandit.summary) == ["pulls_0", "rewards_0", "late_pulls_0", "pulls_1", "rewards_1", "late_pulls_1"]


def test_a_run_tells_progress_records_and_summaries(wire: Wire) -> None:
    joe = wire.start(70_000)
    told = run(wire, joe, steps=3, record=2, seed=2**64 - 1)
    progress, records, summaries = (events(told, kind) for kind in ("progress", "record", "summary"))
    assert (progress[-1].tick, progress[-1].ticks, progress[-1].agent_steps) == (3, 3, 210_000)
    assert [summary.first for summary in summaries] == [0, 65_536]
    summary = np.concatenate([array(one.summary) for one in summaries])
    assert summary.shape == (70_000, 6)
    assert (summary[:, 0] + summary[:, 3] == 3).all()
    action = np.concatenate([array(record.action) for record in records])
    reward = np.concatenate([array(record.reward) for record in records])
    assert action.shape == reward.shape == (3, 2)
    assert summary[:2, 3].tolist() == action.sum(0).tolist()
    assert summary[:2, [1, 4]].sum(1).tolist() == reward.sum(0).tolist()
    assert told[-1].WhichOneof("event") == "summary"
    wire.agents.Retire(ag.RetireRequest(name=joe))


def test_a_selection_is_summed_up_in_its_order(wire: Wire) -> None:
    joe, jane = wire.start(5, seed=1), wire.start(5, seed=1)
    whole = array(events(run(wire, joe, steps=20), "summary")[0].summary)
    some = array(events(run(wire, jane, steps=20, ordinals=packed(4, 1)), "summary")[0].summary)
    assert np.array_equal(some, whole[[4, 1]])
    assert wire.cohort(jane).min_step == 0


def test_agents_make_steps_of_their_own_number(wire: Wire) -> None:
    joe = wire.start(3)
    told = run(wire, joe, steps=0, steps_each=tensor([9, 4, 1], "u4"))
    assert array(events(told, "summary")[0].summary)[:, [0, 3]].sum(1).tolist() == [9, 4, 1]
    assert (wire.cohort(joe).min_step, wire.cohort(joe).max_step) == (1, 9)


def test_agents_in_a_run_are_busy(wire: Wire) -> None:
    joe = wire.start(4)
    going = wire.tasks.RunTask(
        ta.RunTaskRequest(cohort=joe, ordinals=span(0, 2), task="tasks/bandit", parameters=FAIR, steps=2**32 - 1)
    )
    assert next(going).progress.ticks == 2**32 - 1
    [busy, free] = wire.act([ag.ActRequest(cohort=joe), ag.ActRequest(cohort=joe, ordinals=packed(2, 3))])
    assert (busy.error.reason, free.error.reason) == ("AGENTS_BUSY", "")
    refused = refusal(lambda: wire.agents.Retire(ag.RetireRequest(name=joe)))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "AGENTS_BUSY")
    assert "wait for it, cancel it or detach" in refused.message
    going.cancel()
    free_in_the_end(wire, joe)


def free_in_the_end(wire: Wire, cohort: str) -> None:
    """A caller who leaves is noticed after a moment; then the agents step, and can be retired."""
    deadline = time.monotonic() + 20
    while wire.act([ag.ActRequest(cohort=cohort)])[0].error.reason == "AGENTS_BUSY":
        assert time.monotonic() < deadline, f"{cohort} is still busy"
    assert wire.agents.Retire(ag.RetireRequest(name=cohort)).retired > 0


@pytest.mark.parametrize("how", ["cancelled", "disconnected", "deadline"])
def test_a_caller_who_leaves_frees_the_agents(wire: Wire, server: object, how: str) -> None:
    before = wire.pool()
    joe = wire.start(50)
    request = ta.RunTaskRequest(cohort=joe, task="tasks/bandit", parameters=FAIR, steps=10**9, record=50)
    with grpc.insecure_channel(server.address) as channel:
        timeout = 0.5 if how == "deadline" else None
        going = type(wire.tasks)(channel).RunTask(request, timeout=timeout)
        next(going)
        if how == "cancelled":
            going.cancel()
        elif how == "deadline":
            with pytest.raises(grpc.RpcError) as late:
                list(going)
            assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    free_in_the_end(wire, joe)
    assert wire.pool() == before


def test_many_who_leave_as_their_runs_begin_leave_nothing(wire: Wire) -> None:
    before = wire.pool()
    joe = wire.start(300)

    def leave(n: int) -> None:
        request = ta.RunTaskRequest(
            cohort=joe, ordinals=packed(n), task="tasks/bandit", parameters=FAIR, steps=10**9, record=1
        )
        with pytest.raises(grpc.RpcError):
            list(wire.tasks.RunTask(request, timeout=0.0005 * (n % 50)))

    threads = [threading.Thread(target=lambda n=n: [leave(m) for m in range(n, 300, 6)]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    free_in_the_end(wire, joe)
    assert wire.pool() == before
