"""From what the wire says of a failure to an exception of ours."""

from collections.abc import Iterable
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status
from plures.v1.tensor_pb2 import ItemError

from .errors import BY_CODE, PluresClientError, ServerError

Detail = TypeVar("Detail", ErrorInfo, RetryInfo)
DOMAIN = "plures"

# gRPC sets these by itself: without an ErrorInfo the server never saw, or never answered, the call.
OWN_WORDS = {
    grpc.StatusCode.UNAVAILABLE: (
        "no Plures server answers at {address} ({cause}); start one with `plures-server`, "
        "or give the address of one that runs"
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        "the server at {address} did not answer in time; give the call a longer timeout, or ask for less at once"
    ),
}


def from_rpc_error(error: grpc.aio.AioRpcError, address: str) -> PluresClientError:
    """The exception for a call that failed, with the server's reason and metadata when it sent them."""
    details = _details(error)
    kind = BY_CODE.get(_number(error.code()), ServerError)
    info, retry = _unpack(details, ErrorInfo()), _unpack(details, RetryInfo())
    if info is None or info.domain != DOMAIN:
        detail = error.details() or error.code().name
        if (words := OWN_WORDS.get(error.code())) is None:
            return kind(detail)
        # gRPC chains causes; the last one is the one to know: "Connection refused".
        return kind(words.format(address=address, cause=detail.rpartition(": ")[2].rstrip("]")))
    return kind(
        error.details() or info.reason,
        reason=info.reason,
        metadata=info.metadata,
        retry_after_s=retry.retry_delay.ToTimedelta().total_seconds() if retry else None,
    )


def from_item_error(error: ItemError) -> PluresClientError:
    """The exception for one message of a stream that was refused."""
    kind = BY_CODE.get(error.code, ServerError)
    return kind(error.message or error.reason, reason=error.reason, retry_after_s=error.retry_after_s or None)


def _details(error: grpc.aio.AioRpcError) -> Iterable[Any]:
    status = rpc_status.from_call(cast(Any, error))
    return status.details if status is not None else ()


def _unpack(details: Iterable[Any], kind: Detail) -> Detail | None:
    return next((kind for detail in details if detail.Unpack(kind)), None)


def _number(code: grpc.StatusCode) -> int:
    return int(code.value[0])
