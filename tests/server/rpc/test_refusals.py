"""Whatever is wrong with a call: the right code, a stable reason, a sentence with the value, and nothing changed."""

import re
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from plures.v1 import agent_pb2 as ag
from plures.v1 import queue_pb2 as qu
from plures.v1 import student_pb2 as su
from plures.v1 import task_pb2 as ta
from plures.v1 import tensor_pb2 as te
from plures_server import errors
from plures_server.rpc.errors import CODES, status_of
from plures_students.errors import CheckpointError

from .helpers import Refusal, Wire, packed, refusal, span, tensor

FAIR = tensor([[0.5, 0.5]])
BAD_NAMES = ["", "Joe", "../joe", "a/b", "joe.1", "j" * 64, "joe\n", "{joe}"]


def start(**changes: Any) -> Callable[[Wire, str], Any]:
    request = ag.StartCohortRequest(**({"cohort_id": "fresh", "student": "students/bandit", "count": 1} | changes))
    return lambda wire, joe: wire.agents.StartCohort(request)


def fork(**changes: Any) -> Callable[[Wire, str], Any]:
    wanted = {"copies": 1, "cohort_id": "fresh"} | changes
    return lambda wire, joe: wire.agents.Fork(ag.ForkRequest(**({"name": joe} | wanted)))


def retire(ordinals: te.Ordinals, name: str | None = None) -> Callable[[Wire, str], Any]:
    return lambda wire, joe: wire.agents.Retire(ag.RetireRequest(name=name or joe, ordinals=ordinals))


def run(**changes: Any) -> Callable[[Wire, str], Any]:
    wanted = {"task": "tasks/bandit", "parameters": FAIR, "steps": 3} | changes
    return lambda wire, joe: wire.tasks.RunTask(ta.RunTaskRequest(**({"cohort": joe} | wanted)))


def attach(**changes: Any) -> Callable[[Wire, str], Any]:
    wanted = {"queue": "queues/fresh", "keep": qu.KEEP_NOTHING} | changes
    return lambda wire, joe: wire.queues.Attach(qu.AttachRequest(**({"cohort": joe} | wanted)))


# What is asked for; the code and reason it is refused with; what the sentence says.
REFUSED: dict[str, tuple[Callable[[Wire, str], Any], str, str, str]] = {
    "student unknown": (
        lambda wire, joe: wire.students.GetStudent(su.GetStudentRequest(name="students/nobody")),
        *("NOT_FOUND", "UNKNOWN_STUDENT", "no student 'nobody' is loaded; loaded: bandit"),
    ),
    "student's name": (
        lambda wire, joe: wire.students.GetStudent(su.GetStudentRequest(name="bandit")),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "'bandit' is not a resource name of the form students/…"),
    ),
    "start of an unknown student": (start(student="students/nobody"), "NOT_FOUND", "UNKNOWN_STUDENT", "'nobody'"),
    "start of a name taken": (
        lambda wire, joe: start(cohort_id=joe.removeprefix("cohorts/"))(wire, joe),
        *("ALREADY_EXISTS", "ALREADY_EXISTS", "is alive already"),
    ),
    "start of none": (start(count=0), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "at least 1 agent, not 0"),
    "start of too many": (
        start(count=2**32 - 1),
        "RESOURCE_EXHAUSTED",
        "POOL_FULL",
        "4,294,967,295 agents are too many",
    ),
    "cohort unknown": (
        lambda wire, joe: wire.cohort("cohorts/nobody"),
        *("NOT_FOUND", "UNKNOWN_COHORT", "no cohort 'nobody' is alive"),
    ),
    "fork of an unknown cohort": (fork(name="cohorts/nobody"), "NOT_FOUND", "UNKNOWN_COHORT", "'nobody'"),
    "fork without copies": (fork(copies=0), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "copies must be at least 1, not 0"),
    "fork too wide": (fork(copies=2**32 - 1), "RESOURCE_EXHAUSTED", "POOL_FULL", "12,884,901,885 agents are too many"),
    "fork of an unknown agent": (fork(ordinals=packed(0, 3)), "NOT_FOUND", "UNKNOWN_AGENT", "ordinals 0 to 2, not 3"),
    "fork of an agent twice": (
        fork(ordinals=packed(1, 0, 1)),
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "more than once",
    ),
    "retiring nobody": (retire(packed()), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "no agents"),
    "retiring an unknown agent": (retire(span(1, 3)), "NOT_FOUND", "UNKNOWN_AGENT", "not 3"),
    "three bytes": (
        retire(te.Ordinals(packed=bytes(3))),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "3 bytes are no whole number"),
    ),
    "all ordinals there are": (
        retire(span(0, 2**32 - 1)),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "4,294,967,295 agents are too many for one request"),
    ),
    "ordinals beyond 32 bits": (
        retire(span(2**32 - 1, 2)),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "go beyond 32 bits"),
    ),
    "snapshot of an unknown cohort": (
        lambda wire, joe: wire.save("cohorts/nobody", "fresh"),
        *("NOT_FOUND", "UNKNOWN_COHORT", "'nobody'"),
    ),
    "snapshot unknown": (
        lambda wire, joe: wire.restore("snapshots/nothing", "fresh"),
        *("NOT_FOUND", "UNKNOWN_SNAPSHOT", "no snapshot 'nothing'"),
    ),
    "run of an unknown task": (run(task="tasks/chess"), "NOT_FOUND", "UNKNOWN_TASK", "no task 'chess' is known"),
    "run of an unknown cohort": (run(cohort="cohorts/nobody"), "NOT_FOUND", "UNKNOWN_COHORT", "'nobody'"),
    "run of an unknown agent": (run(ordinals=packed(7)), "NOT_FOUND", "UNKNOWN_AGENT", "not 7"),
    "run without steps": (run(steps=0), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "0 steps"),
    "run of steps twice": (
        run(steps_each=tensor([3, 2, 1], "u4")),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "exclude each other"),
    ),
    "run of steps of none": (
        run(steps=0, steps_each=tensor([3, 2, 0], "u4")),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "0 steps"),
    ),
    "record of too many": (run(record=4), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "4 agents to record, but 3 selected"),
    "parameters missing": (run(parameters=None), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "parameters has data_type 0"),
    "a chance beyond 1": (
        run(parameters=tensor([[0.5, 1.25]])),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "p_1 1.25 of row 0 is not a probability"),
    ),
    "a chance below 0": (
        run(parameters=tensor([[0.5, 0.5], [-1, 0], [0, 0]])),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "p_0 -1.0 of row 1 is not a probability"),
    ),
    "a chance that is no number": (
        run(parameters=tensor([[0.5, np.nan]])),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "p_1 nan of row 0"),
    ),
    "parameters of some": (
        run(parameters=tensor([[0, 1], [0, 1]])),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "2 rows of parameters for 3 agents"),
    ),
    "parameters of another type": (
        run(parameters=tensor([[0, 1]], "i4")),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "torch.int32 [1, 2]"),
    ),
    "parameters cut short": (
        run(parameters=te.Tensor(data_type=te.DATA_TYPE_FLOAT32, shape=[1, 2], data=bytes(7))),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "takes 8 bytes, not 7"),
    ),
    "parameters of a shape below 0": (
        run(parameters=te.Tensor(data_type=te.DATA_TYPE_FLOAT32, shape=[-1, -2], data=bytes(8))),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "[-1, -2]"),
    ),
    "parameters of a huge shape": (
        run(parameters=te.Tensor(data_type=te.DATA_TYPE_FLOAT32, shape=[0, 2**62])),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "4611686018427387904"),
    ),
    "attaching an unknown cohort": (attach(cohort="cohorts/nobody"), "NOT_FOUND", "UNKNOWN_COHORT", "'nobody'"),
    "attaching an unknown agent": (attach(ordinals=packed(3)), "NOT_FOUND", "UNKNOWN_AGENT", "not 3"),
    "attaching without a word on learning": (
        attach(keep=qu.KEEP_UNSPECIFIED),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "keep must be KEEP_NOTHING or KEEP_LEARNING"),
    ),
    "attaching with another word on learning": (
        attach(keep=7),
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "keep must be KEEP_NOTHING or KEEP_LEARNING, not 7"),
    ),
    "detaching who is not attached": (
        lambda wire, joe: wire.queues.Detach(qu.DetachRequest(queue="queues/nothing", cohort=joe)),
        *("NOT_FOUND", "UNKNOWN_QUEUE", "is not attached to queue 'nothing'"),
    ),
    "queue unknown": (
        lambda wire, joe: wire.queues.GetQueue(qu.GetQueueRequest(name="queues/nothing")),
        *("NOT_FOUND", "UNKNOWN_QUEUE", "there is no queue 'nothing'"),
    ),
    "results of an unknown queue": (
        lambda wire, joe: wire.queues.Results(qu.ResultsRequest(queue="queues/nothing")),
        *("NOT_FOUND", "UNKNOWN_QUEUE", "there is no queue 'nothing'"),
    ),
    "deleting an unknown queue": (
        lambda wire, joe: wire.queues.DeleteQueue(qu.DeleteQueueRequest(name="queues/nothing")),
        *("NOT_FOUND", "UNKNOWN_QUEUE", "there is no queue 'nothing'"),
    ),
}


@pytest.fixture(scope="module")
def joe(wire: Wire) -> str:
    """Three agents that have lived, and that no refused call may touch."""
    joe = wire.start(3, seed=5)
    wire.act([ag.ActRequest(cohort=joe)] * 2)
    return joe


@pytest.mark.parametrize("what", REFUSED)
def test_a_call_that_makes_no_sense_is_refused_and_changes_nothing(wire: Wire, joe: str, what: str) -> None:
    ask, code, reason, said = REFUSED[what]
    before = wire.pool(), wire.cohort(joe)
    refused = refusal(lambda: ask(wire, joe))
    assert (refused.code, refused.reason) == (code, reason)
    assert said in refused.message
    assert len(refused.message) < 400
    assert (wire.pool(), wire.cohort(joe)) == before
    assert not any(
        cohort.name == "cohorts/fresh" for cohort in wire.agents.ListCohorts(ag.ListCohortsRequest()).cohorts
    )


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_a_name_that_is_none_is_refused_everywhere(wire: Wire, joe: str, name: str) -> None:
    queue, cohort = f"queues/{name}", f"cohorts/{name}"
    asked: list[Callable[[], Any]] = [
        lambda: start(cohort_id=name)(wire, joe),
        lambda: start(student=f"students/{name}")(wire, joe),
        lambda: fork(cohort_id=name)(wire, joe),
        lambda: wire.cohort(cohort),
        lambda: retire(packed(0), cohort)(wire, joe),
        lambda: wire.save(joe, name),
        lambda: wire.restore(f"snapshots/{name}", "fresh"),
        lambda: run(task=f"tasks/{name}")(wire, joe),
        lambda: attach(queue=queue)(wire, joe),
        lambda: wire.queues.Detach(qu.DetachRequest(queue=queue, cohort=joe)),
        lambda: wire.queues.GetQueue(qu.GetQueueRequest(name=queue)),
        lambda: wire.queues.DeleteQueue(qu.DeleteQueueRequest(name=queue)),
        lambda: wire.queues.Results(qu.ResultsRequest(queue=queue)),
    ]
    for ask in asked:
        refused = refusal(ask)
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
        assert re.search(r"is (not a|no task's|no student's) name: use 1 to 63 of a-z, 0-9", refused.message)


def test_a_cursor_that_is_none_is_refused(wire: Wire, joe: str) -> None:
    items = qu.TaskItems(
        task="tasks/bandit", item=tensor([1], "u8"), parameters=FAIR, seed=tensor([1], "u8"), steps=tensor([1], "u4")
    )
    list(wire.queues.Enqueue(iter([qu.EnqueueRequest(queue="queues/cursor", submit_id="one", items=items)])))
    refused = refusal(lambda: wire.queues.Results(qu.ResultsRequest(queue="queues/cursor", cursor="yesterday")))
    assert refused == Refusal("INVALID_ARGUMENT", "INVALID_ARGUMENT", refused.message)
    assert "'yesterday' is not a cursor" in refused.message


def test_a_message_above_16_mib_is_refused(wire: Wire, joe: str) -> None:
    huge = ag.RetireRequest(name=joe, ordinals=te.Ordinals(packed=bytes(17 << 20)))
    with pytest.raises(grpc.RpcError) as refused:
        wire.agents.Retire(huge)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert wire.cohort(joe).alive == 3


def test_bytes_that_are_no_message_are_refused(wire: Wire, joe: str) -> None:
    for method, send in (("GetCohort", "unary_unary"), ("Become", "stream_stream"), ("Act", "stream_stream")):
        call = getattr(wire.channel, send)(f"/plures.v1.AgentService/{method}")
        nonsense = b"\xff\xff\xff\xff" if send == "unary_unary" else iter([b"\xff\xff\xff\xff"])
        refused = refusal(lambda call=call, nonsense=nonsense: call(nonsense))
        assert refused.code == "INVALID_ARGUMENT"
        assert refused.message.startswith("the request cannot be read (")
    assert wire.cohort(joe).alive == 3


def test_every_error_has_a_code() -> None:
    raised = {getattr(errors, name) for name in errors.__all__} - {errors.PluresError}
    assert raised | {CheckpointError} == CODES.keys()


@pytest.mark.parametrize(
    "kind",
    [errors.EngineOverloaded, errors.QueueFull, errors.QueueUnavailable, errors.LogUnavailable, errors.LogFull],
)
def test_what_is_worth_trying_again_says_when(kind: type[errors.PluresError]) -> None:
    status = status_of(kind("a moment"))
    assert [detail.TypeName() for detail in status.details] == ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"]
