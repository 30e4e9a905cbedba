"""A line an event, with the call that it is about."""

import json
import logging
from collections.abc import Iterator

import pytest
from plures_server.access import caller
from plures_server.telemetry.call import Call, call_of, current
from plures_server.telemetry.logs import HumanFormatter, JsonFormatter, LogConfig, set_up

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def call() -> Iterator[Call]:
    made = Call("Act", "r-1", TRACE)
    call_token, tenant_token = current.set(made), caller.tenant.set("acme")
    yield made
    current.reset(call_token)
    caller.tenant.reset(tenant_token)


def record(words: str, *values: object, error: bool = False) -> logging.LogRecord:
    caught = None
    if error:
        try:
            raise ValueError("7")
        except ValueError as raised:
            caught = (ValueError, raised, raised.__traceback__)
    return logging.LogRecord("plures", logging.WARNING, __file__, 1, words, values, caught)


def test_json_has_the_call_the_tenant_and_the_trace(call: Call) -> None:
    entry = json.loads(JsonFormatter().format(record("%s is\nnot %d", "it", 7)))
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "warning",
        "logger": "plures",
        "message": "it is\nnot 7",
        "request": "r-1",
        "trace": TRACE,
        "tenant": "acme",
        "method": "Act",
    }


def test_json_is_one_line_with_its_error() -> None:
    line = JsonFormatter().format(record("failed", error=True))
    assert "\n" not in line
    assert "ValueError: 7" in json.loads(line)["error"]


def test_people_see_the_same(call: Call) -> None:
    assert (
        HumanFormatter()
        .format(record("done"))
        .endswith(f" WARNING plures: done [request=r-1 trace={TRACE} tenant=acme method=Act]")
    )


def test_outside_of_calls_there_is_nothing_to_add() -> None:
    assert HumanFormatter().format(record("done")).endswith(" WARNING plures: done")


@pytest.mark.parametrize(
    ("metadata", "request_id", "trace"),
    [
        ([("x-request-id", "r-1")], "r-1", ""),
        ([("x-request-id", "r 1\n")], None, ""),
        ([("x-request-id", "r" * 65)], None, ""),
        ([("traceparent", f"00-{TRACE}-b7ad6b7169203331-01")], None, TRACE),
        ([("traceparent", "00-nonsense")], None, ""),
        ([("x-bin", b"\xff")], None, ""),
    ],
)
def test_ids_are_the_clients_when_they_are_ids(metadata: list, request_id: str | None, trace: str) -> None:
    call = call_of("Act", metadata)
    assert call.trace_id == trace
    assert call.request_id == request_id if request_id else len(call.request_id) == 16


def test_two_calls_without_ids_are_told_apart() -> None:
    assert call_of("Act", []).request_id != call_of("Act", []).request_id


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        set_up(LogConfig("json", "warning"))
        logging.getLogger("plures").info("quiet")
        logging.getLogger("plures").warning("loud")
    finally:
        root.handlers[:], root.level = before
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["loud"]
