"""The call that is being served, as logs and traces know it: set at the edge for the task that serves it."""

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Call:
    """`request_id`: the client's `x-request-id`, or one made here. `trace_id`: of W3C's `traceparent`, or ""."""

    method: str
    request_id: str
    trace_id: str = ""


current: ContextVar[Call | None] = ContextVar("call", default=None)


def call_of(method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Call:
    """What a call brings. What is no id is as if it were not there: it goes into logs."""
    given = {key: value for key, value in metadata if isinstance(value, str)}
    request_id = given.get("x-request-id", "")
    parent = _TRACE_PARENT.fullmatch(given.get("traceparent", ""))
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = secrets.token_hex(8)
    return Call(method, request_id, parent[1] if parent else "")
