"""How failures reach the caller: real gRPC, servers that fail on purpose."""

import time
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from plures.v1.student_pb2_grpc import StudentServiceServicer, add_StudentServiceServicer_to_server
from plures.v1.tensor_pb2 import ItemError
from plures_client import Client
from plures_client.errors import (
    BY_CODE,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PluresClientError,
    ResourceExhausted,
    ServerError,
    Unavailable,
)
from plures_client.items import Items
from plures_client.status import from_item_error
from plures_client.whole import whole
from plures_server.errors import QueueFull
from plures_server.rpc.errors import item_error


class Refusing(StudentServiceServicer):
    """Answers ListStudents with a status, or by plain Python."""

    def __init__(self, refuse):
        self.refuse = refuse

    def ListStudents(self, request, context):
        return self.refuse(context)

    def GetStudent(self, request, context):
        raise NotImplementedError


def rich(code, *details):
    packed = [AnyMessage() for _ in details]
    for box, detail in zip(packed, details, strict=True):
        box.Pack(detail)
    status = rpc_status.to_status(Status(code=code, message="no student joe", details=packed))
    return lambda context: context.abort_with_status(status)


@pytest.fixture
def failing(serve):
    def client(refuse, **options):
        address = serve(lambda server: add_StudentServiceServicer_to_server(Refusing(refuse), server))
        return Client(address, **options)

    return client


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_status_has_its_exception_with_reason_and_metadata(failing, code):
    info = ErrorInfo(reason="UNKNOWN_STUDENT", domain="plures", metadata={"student": "joe"})

    with failing(rich(code, info)) as client, pytest.raises(BY_CODE[code], match="no student joe") as caught:
        client.students.list()

    assert type(caught.value) is BY_CODE[code]
    assert caught.value.reason == "UNKNOWN_STUDENT"
    assert caught.value.metadata == {"student": "joe"}
    assert caught.value.retry_after_s is None


def test_the_table_has_every_code_of_grpc_but_ok():
    assert set(BY_CODE) == {code.value[0] for code in grpc.StatusCode} - {0}


def test_a_server_that_asks_for_patience_says_how_much(failing):
    details = (
        ErrorInfo(reason="QUEUE_FULL", domain="plures"),
        RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
    )

    with failing(rich(8, *details)) as client, pytest.raises(ResourceExhausted) as caught:
        client.students.list()

    assert caught.value.retry_after_s == 1.5


def test_reasons_of_other_domains_are_not_ours(failing):
    with failing(rich(5, ErrorInfo(reason="ELSE", domain="else.example"))) as client, pytest.raises(NotFound) as caught:
        client.students.list()

    assert caught.value.reason == ""


def test_a_fault_of_the_server_is_told_as_such(failing):
    def break_down(context):
        raise RuntimeError("out of luck")

    with failing(break_down) as client, pytest.raises(ServerError, match="out of luck"):
        client.students.list()


def test_what_looks_like_a_format_is_told_as_it_is(failing):
    def refuse(context):
        context.abort(grpc.StatusCode.INTERNAL, "a {strange} proxy: {}")

    with failing(refuse) as client, pytest.raises(ServerError) as caught:
        client.students.list()

    assert str(caught.value) == "a {strange} proxy: {}"


ITEMS = Items.of("bandit", np.zeros((3, 2)), steps=1, seed=1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.queue("q").enqueue(ITEMS, priority=-1),
        lambda client: client.queue("q").enqueue(ITEMS, ttl_s=0.0),
        lambda client: client.queue("q").enqueue(ITEMS, ttl_s=float("nan")),
        lambda client: client.queue("q").dead(-1),
        lambda client: client.cohort("joe").run("bandit", {}, steps=-1),
    ],
)
def test_numbers_that_the_wire_does_not_have_are_refused_before_it(ask):
    with Client("127.0.0.1:1") as client, pytest.raises(InvalidArgument, match=r"-1|ttl_s"):
        ask(client)


def test_one_message_of_a_stream_fails_by_the_same_table():
    for code, kind in BY_CODE.items():
        error = from_item_error(ItemError(code=code, reason="WHY", message="because"))
        assert (type(error), error.reason, str(error)) == (kind, "WHY", "because")
        assert error.retry_after_s is None


def test_one_message_of_a_stream_says_when_to_try_again():
    full = item_error(QueueFull("no room"))
    told = from_item_error(full)
    assert (type(told), told.reason, told.retry_after_s) == (ResourceExhausted, "QUEUE_FULL", 1.0)


def test_no_server_is_one_clear_sentence_at_once():
    with Client("127.0.0.1:1") as client:
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            client.students.list()

    assert str(caught.value) == (
        "no Plures server answers at 127.0.0.1:1 (Connection refused); "
        "start one with `plures-server`, or give the address of one that runs"
    )
    assert time.monotonic() - began < 5


def test_a_server_that_never_comes_up_is_not_waited_for_longer_than_asked():
    with Client("127.0.0.1:1") as client, pytest.raises(DeadlineExceeded, match=r"127.0.0.1:1 within 0.2 s"):
        client.ready(within=0.2)


def test_a_server_that_says_nothing_runs_into_the_deadline(failing):
    def wait_until_cancelled(context):
        while context.is_active():
            time.sleep(0.01)

    with failing(wait_until_cancelled, timeout=0.2) as client, pytest.raises(DeadlineExceeded, match="longer timeout"):
        client.students.list()


def test_a_closed_client_says_so():
    client = Client("127.0.0.1:1")
    client.close()
    client.close()

    with pytest.raises(FailedPrecondition, match="this client is closed"):
        client.students.list()


def test_all_exceptions_have_one_root_and_fit_into_pythons():
    assert all(issubclass(kind, PluresClientError) for kind in BY_CODE.values())
    assert issubclass(BY_CODE[3], ValueError)
    assert issubclass(BY_CODE[4], TimeoutError)
    assert issubclass(BY_CODE[5], LookupError)


@pytest.mark.parametrize("value", [-1, 2**32, 1.5, True, None])
def test_what_is_no_count_is_refused_before_it_is_sent(value: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"count .* is not a whole number from 0 to 2\^32 - 1"):
        whole(value, 32, "count")
