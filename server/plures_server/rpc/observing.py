"""Every call, counted, and known to logs by its ids."""

from __future__ import annotations  # grpc's classes are generic in their stubs alone

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc
from plures.v1 import tensor_pb2

from ..errors import PluresError
from ..telemetry.call import call_of, current
from ..telemetry.calls import CallMetrics
from ..telemetry.tracing import NO_TRACING, Tracing
from .errors import reason
from .wrapping import HEALTH, Context, Continuation, Stream, Streamed, Unary, wrapped

log = logging.getLogger("plures.calls")

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class ObserveInterceptor(grpc.aio.ServerInterceptor):
    """Outermost, so that it sees how calls end. With `log_calls`, a line for each that ended."""

    def __init__(self, metrics: CallMetrics, log_calls: bool = False, tracing: Tracing = NO_TRACING) -> None:
        self._metrics, self._level, self._tracing = metrics, logging.INFO if log_calls else logging.DEBUG, tracing

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler, method = await continuation(handler_call_details), handler_call_details.method
        if handler is None or method.startswith(HEALTH):
            return handler
        return wrapped(handler, lambda behave: self._unary(behave, method), lambda behave: self._stream(behave, method))

    def _unary(self, behave: Unary, method: str) -> Unary:
        async def observed(request: Any, context: Context) -> Any:
            with self._observed(method, context):
                return await behave(request, context)

        return observed

    def _stream(self, behave: Stream, method: str) -> Streamed:
        async def observed(request: Any, context: Context) -> AsyncIterator[Any]:
            with self._observed(method, context):
                async with aclosing(behave(request, context)) as responses:
                    async for response in responses:
                        error = getattr(response, "error", None)
                        if isinstance(error, tensor_pb2.ItemError) and error.code:
                            self._metrics.failed(_NAMES[error.code], error.reason)
                        yield response

        return observed

    @contextmanager
    def _observed(self, method: str, context: Context) -> Iterator[None]:
        short, began = method.rpartition(".")[2], time.perf_counter()
        metadata = context.invocation_metadata() or ()
        current.set(call_of(short, metadata))
        code = "OK"
        try:
            with self._tracing.call(short, metadata), self._metrics.under_way(short):
                yield
        except (asyncio.CancelledError, GeneratorExit):
            code = "CANCELLED"
            raise
        except grpc.aio.AbortError as error:
            code = _code(context)
            self._metrics.failed(code, _reason(error))
            raise
        finally:
            self._metrics.ended(short, code)
            log.log(self._level, "%s ended as %s after %.3f s", short, code, time.perf_counter() - began)


def _code(context: Context) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else _NAMES.get(code, "UNKNOWN")


def _reason(error: BaseException) -> str:
    """Of what the call was ended for."""
    cause = error.__context__
    return reason(cause) if isinstance(cause, PluresError) else "INTERNAL"
