"""The one place where our errors become gRPC statuses, with google.rpc details."""

from __future__ import annotations  # grpc's classes are generic in their stubs alone

import logging
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from plures.v1 import tensor_pb2
from plures_students.errors import CheckpointError

from .. import errors
from .reading import checked, readable
from .wrapping import HEALTH, Context, Continuation, Stream, Streamed, Unary, wrapped

log = logging.getLogger(__name__)

CODES: dict[type[errors.PluresError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownStudent: grpc.StatusCode.NOT_FOUND,
    errors.UnknownCohort: grpc.StatusCode.NOT_FOUND,
    errors.UnknownAgent: grpc.StatusCode.NOT_FOUND,
    errors.UnknownTask: grpc.StatusCode.NOT_FOUND,
    errors.UnknownSnapshot: grpc.StatusCode.NOT_FOUND,
    errors.UnknownQueue: grpc.StatusCode.NOT_FOUND,
    errors.UnknownSubmission: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.AgentsBusy: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StorageFailed: grpc.StatusCode.FAILED_PRECONDITION,
    CheckpointError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StudentInUse: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StudentMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TierUnavailable: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TaskFailed: grpc.StatusCode.ABORTED,
    errors.NoCommonAncestor: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PoolFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.EngineOverloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.QueueFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.LogFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.RateExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.NotOffered: grpc.StatusCode.UNIMPLEMENTED,
    errors.OperatorOnly: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.RecoveryRefused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.DamagedLog: grpc.StatusCode.DATA_LOSS,
    errors.DamagedSnapshot: grpc.StatusCode.DATA_LOSS,
    errors.QueueUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.EngineStopped: grpc.StatusCode.UNAVAILABLE,
    errors.LogUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DataFolderInUse: grpc.StatusCode.UNAVAILABLE,
}
_UNEXPECTED = "an unexpected error, which the server has logged"
RETRY_SECONDS = {
    errors.EngineOverloaded: 0.1,
    errors.QueueFull: 1.0,
    errors.QueueUnavailable: 1.0,
    errors.LogUnavailable: 2.0,
    errors.LogFull: 2.0,
}


def reason_of(kind: type[errors.PluresError]) -> str:
    """UnknownAgent → UNKNOWN_AGENT."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).upper()


def reason(error: errors.PluresError) -> str:
    """As `reason_of` its kind."""
    return reason_of(type(error))


def code_number(error: errors.PluresError) -> int:
    number: int = CODES[type(error)].value[0]
    return number


def item_error(error: Exception) -> tensor_pb2.ItemError:
    """The error of one message of a stream; what is not ours is logged and INTERNAL."""
    if isinstance(error, errors.PluresError) and type(error) in CODES:
        retry_after_s = RETRY_SECONDS.get(type(error), 0.0)
        return tensor_pb2.ItemError(
            code=code_number(error), reason=reason(error), message=str(error), retry_after_s=retry_after_s
        )
    log.error("a message of a stream failed unexpectedly", exc_info=error)
    return tensor_pb2.ItemError(code=grpc.StatusCode.INTERNAL.value[0], reason="INTERNAL", message=_UNEXPECTED)


def status_of(error: errors.PluresError) -> status_pb2.Status:
    """The rich status of a failed call: ErrorInfo, RetryInfo where trying again makes sense, QuotaFailure."""
    info = error_details_pb2.ErrorInfo(reason=reason(error), domain="plures")
    details = [info, *_retry(error), *_quota(error)]
    packed = [any_pb2.Any() for _ in details]
    for box, detail in zip(packed, details, strict=True):
        box.Pack(detail)
    return status_pb2.Status(code=code_number(error), message=str(error), details=packed)


def _retry(error: errors.PluresError) -> list[Any]:
    seconds = error.wait_s if isinstance(error, errors.RateExceeded) else RETRY_SECONDS.get(type(error))
    if not seconds:
        return []
    delay = duration_pb2.Duration(nanos=int(seconds % 1 * 1e9), seconds=int(seconds))
    return [error_details_pb2.RetryInfo(retry_delay=delay)]


def _quota(error: errors.PluresError) -> list[Any]:
    if not isinstance(error, errors.QuotaExceeded):
        return []
    violation = error_details_pb2.QuotaFailure.Violation(
        subject=f"tenants/{error.tenant}", description=f"{error.what}: {error}"
    )
    return [error_details_pb2.QuotaFailure(violations=[violation])]


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns what a servicer raises into a status: ours by the table, anything else logged and INTERNAL."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(HEALTH):
            return handler
        return wrapped(handler, _guard_unary, _guard_stream, readable)


def _guard_unary(behave: Unary) -> Unary:
    async def guarded(request: Any, context: Context) -> Any:
        try:
            return await behave(checked(request), context)
        except Exception as error:  # noqa: BLE001 - the edge of the process
            await _abort(context, error)

    return guarded


def _guard_stream(behave: Stream) -> Streamed:
    async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            # A caller who leaves ends the behaviour at once, not when its garbage is collected.
            async with aclosing(behave(checked(request), context)) as responses:
                async for response in responses:
                    yield response
        except Exception as error:  # noqa: BLE001 - the edge of the process
            await _abort(context, error)

    return guarded


async def _abort(context: Context, error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, errors.PluresError) and type(error) in CODES:
        await context.abort_with_status(rpc_status.to_status(status_of(error)))
    log.error("a request failed unexpectedly", exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, _UNEXPECTED)
