"""Students over the wire: pages of them, loading and unloading, and the horizons of their agents."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
import torch
from gymnasium.spaces import Discrete
from plures.v1 import agent_pb2 as ag
from plures.v1 import student_pb2 as st
from plures.v1 import task_pb2 as ta
from plures_students.checkpoint import save_checkpoint
from plures_students.config import StudentConfig
from plures_students.model import Student

from .helpers import Wire, connect, new_name, refusal, tensor


@pytest.fixture(scope="module")
def own(launch_server: Callable[..., Any]) -> Any:
    """A server of these tests' own, with memory for a few states."""
    return launch_server("--memory-gb", "0.01")


@pytest.fixture
def wire(own: Any) -> Any:
    with connect(own.address) as wire:
        yield wire


def test_students_come_in_pages_and_go(own: Any, wire: Wire) -> None:
    torch.manual_seed(1)
    for name in ("bandit@2", "coin"):
        save_checkpoint(
            own.folder / "students" / name, Student(StudentConfig(Discrete(1), Discrete(2))), {"horizon": 5}
        )
        loaded = wire.students.LoadStudent(st.LoadStudentRequest(name=f"students/{name}")).student
        assert loaded.name == f"students/{name}"
    found, token = [], ""
    while not found or token:
        page = wire.students.ListStudents(st.ListStudentsRequest(page_size=2, page_token=token))
        found, token = [*found, *page.students], page.next_page_token
    assert [(one.name, one.version) for one in found] == [
        ("students/bandit", 1),
        ("students/bandit@2", 2),
        ("students/coin", 1),
    ]
    cohort = wire.cohort(wire.start(1))
    assert cohort.student == "students/bandit@2"
    refused = refusal(lambda: wire.students.UnloadStudent(st.UnloadStudentRequest(name="students/bandit@2")))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "STUDENT_IN_USE")
    wire.agents.Retire(ag.RetireRequest(name=cohort.name))
    for name in ("bandit@2", "coin"):
        wire.students.UnloadStudent(st.UnloadStudentRequest(name=f"students/{name}"))
    assert [one.name for one in wire.students.ListStudents(st.ListStudentsRequest()).students] == ["students/bandit"]


def test_students_that_are_nowhere_or_no_good_are_refused(own: Any, wire: Wire) -> None:
    (own.folder / "students" / "broken").mkdir()
    for name, code in (
        ("students/nobody", "NOT_FOUND"),
        ("students/broken", "FAILED_PRECONDITION"),
        ("students/../data", "INVALID_ARGUMENT"),
    ):
        refused = refusal(lambda name=name: wire.students.LoadStudent(st.LoadStudentRequest(name=name)))
        assert refused.code == code


def test_cohorts_and_tasks_come_in_pages(wire: Wire) -> None:
    names = sorted(wire.start(1) for _ in range(5))
    pages, token = [], ""
    while not pages or token:
        page = wire.agents.ListCohorts(ag.ListCohortsRequest(page_size=2, page_token=token))
        pages, token = [*pages, [cohort.name for cohort in page.cohorts]], page.next_page_token
    assert [len(page) for page in pages[:-1]] == [2] * (len(pages) - 1)
    assert set(names) <= {name for page in pages for name in page}
    first = wire.tasks.ListTasks(ta.ListTasksRequest(page_size=1))
    assert first.next_page_token == first.tasks[0].name.removeprefix("tasks/")
    refused = refusal(lambda: wire.agents.ListCohorts(ag.ListCohortsRequest(page_token="x" * 300)))
    assert "begin again without one" in refused.message


def test_agents_beyond_their_horizon_are_told_of_at_the_end_of_a_call(wire: Wire) -> None:
    name = new_name()
    request = ag.StartCohortRequest(cohort_id=name, student="students/bandit", count=7)
    cohort = wire.agents.StartCohort(request).cohort
    assert cohort.horizon_policy == ag.HORIZON_POLICY_WARN
    parameters = tensor([[0.5, 0.5]])
    run = wire.tasks.RunTask(
        ta.RunTaskRequest(cohort=cohort.name, task="tasks/bandit", parameters=parameters, steps=99)
    )
    list(run)
    assert dict(run.trailing_metadata()) == {}
    call = wire.agents.Act(iter([ag.ActRequest(cohort=cohort.name)]))
    assert [answer.beyond_horizon for answer in call] == [7]
    assert dict(call.trailing_metadata()) == {"plures-beyond-horizon": f"{name}=7"}


def test_a_run_retires_those_that_it_leads_to_their_horizon(wire: Wire) -> None:
    cohort = wire.agents.StartCohort(
        ag.StartCohortRequest(
            cohort_id=new_name(), student="students/bandit", count=3, horizon_policy=ag.HORIZON_POLICY_RETIRE
        )
    ).cohort
    run = wire.tasks.RunTask(
        ta.RunTaskRequest(cohort=cohort.name, task="tasks/bandit", parameters=tensor([[0.5, 0.5]]), steps=100)
    )
    *_, last = run
    assert last.summary.summary.shape == [3, 6]
    assert refusal(lambda: wire.cohort(cohort.name)).reason == "UNKNOWN_COHORT"


def test_a_request_that_is_made_again_is_answered_as_the_first_time_and_does_nothing(wire: Wire) -> None:
    start = ag.StartCohortRequest(cohort_id=new_name(), student="students/bandit", count=2, request_id="once")
    cohort = wire.agents.StartCohort(start).cohort
    assert wire.agents.StartCohort(start).cohort == cohort
    other = ag.StartCohortRequest(cohort_id=new_name(), student="students/bandit", count=2, request_id="once")
    assert "was used for another request" in refusal(lambda: wire.agents.StartCohort(other)).message
    fork = ag.ForkRequest(name=cohort.name, copies=1, cohort_id=new_name(), request_id="once")
    merge = ag.MergeRequest(members=[ag.MergeMembers(cohort=cohort.name)], copies=1, cohort_id=new_name())
    merge.request_id = "once"
    for call, request in ((wire.agents.Fork, fork), (wire.agents.Merge, merge)):
        assert call(request).cohort.name == call(request).cohort.name
    too_long = ag.ForkRequest(name=cohort.name, copies=1, cohort_id=new_name(), request_id="x" * 65)
    assert refusal(lambda: wire.agents.Fork(too_long)).code == "INVALID_ARGUMENT"


def test_a_request_that_failed_may_be_made_again_under_its_id(wire: Wire) -> None:
    start = ag.StartCohortRequest(cohort_id=new_name(), student="students/bandit", count=2)
    wire.agents.StartCohort(start)
    start.request_id = "again"
    with pytest.raises(grpc.RpcError):
        wire.agents.StartCohort(start)
    wire.agents.Retire(ag.RetireRequest(name=f"cohorts/{start.cohort_id}"))
    assert wire.agents.StartCohort(start).cohort.alive == 2
