"""Calls are made again when that does no harm, and only then."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from plures.v1 import agent_pb2, agent_pb2_grpc, queue_pb2, student_pb2, student_pb2_grpc
from plures_client import Client
from plures_client.aio.wire import REPEATABLE
from plures_client.errors import Unavailable


class Flaky:
    """Is not there the first two times of every call."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def _answer(self, request: Any, context: grpc.ServicerContext, answer: Any) -> Any:
        self.requests.append(request)
        if len(self.requests) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "just starting")
        return answer


class Agents(Flaky, agent_pb2_grpc.AgentServiceServicer):
    def StartCohort(self, request: Any, context: grpc.ServicerContext) -> Any:
        answer = agent_pb2.StartCohortResponse(cohort=agent_pb2.Cohort(name=f"cohorts/{request.cohort_id}"))
        return self._answer(request, context, answer)

    def Retire(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(request, context, agent_pb2.RetireResponse(retired=1))


class Students(Flaky, student_pb2_grpc.StudentServiceServicer):
    def ListStudents(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(request, context, student_pb2.ListStudentsResponse())


@pytest.fixture
def agents(serve: Callable[..., str]) -> Any:
    flaky = Agents()
    flaky.address = serve(lambda server: agent_pb2_grpc.add_AgentServiceServicer_to_server(flaky, server))
    return flaky


def test_a_question_is_asked_again(serve: Callable[..., str]) -> None:
    flaky = Students()
    address = serve(lambda server: student_pb2_grpc.add_StudentServiceServicer_to_server(flaky, server))
    with Client(address) as client:
        assert client.students.list() == []
    assert len(flaky.requests) == 3


def test_what_bears_an_id_is_asked_again_under_the_same_one(agents: Any) -> None:
    with Client(agents.address) as client:
        assert client.cohorts.start("joe", student="bandit", count=1).name == "joe"
    ids = {request.request_id for request in agents.requests}
    assert (len(agents.requests), len(ids)) == (3, 1)
    assert ids != {""}


def test_what_would_count_twice_is_asked_once(agents: Any) -> None:
    with Client(agents.address) as client, pytest.raises(Unavailable):
        client.cohort("joe").retire()
    assert len(agents.requests) == 1


def test_every_call_that_is_made_again_only_asks_or_bears_an_id() -> None:
    files = (agent_pb2, queue_pb2, student_pb2)
    services = {name: service for file in files for name, service in file.DESCRIPTOR.services_by_name.items()}
    for service, methods in REPEATABLE.items():
        if service in services:
            for method in methods:
                wanted = services[service].methods_by_name[method].input_type
                only_asks = method.startswith(("Get", "List")) or method == "LoadStudent"
                assert only_asks or "request_id" in wanted.fields_by_name, method
