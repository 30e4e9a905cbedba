"""Handlers of calls, wrapped by interceptors."""

from __future__ import annotations  # grpc's classes are generic in their stubs alone

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]]
HEALTH = "/grpc.health."
"""What anybody may ask, always: probes have no tokens."""
Context = Any
Reader = Callable[[bytes], Any] | None
Unary = Callable[[Any, Context], Awaitable[Any]]
Stream = Callable[[Any, Context], AsyncGenerator[Any, None]]
Streamed = Callable[[Any, Context], AsyncIterator[Any]]


def wrapped(
    handler: grpc.RpcMethodHandler[Any, Any],
    unary: Callable[[Unary], Unary],
    stream: Callable[[Stream], Streamed],
    read: Callable[[Reader], Reader] = lambda reader: reader,
) -> grpc.RpcMethodHandler[Any, Any]:
    """The handler with its behaviour wrapped: by `unary` when it answers once, else by `stream`.

    `read` wraps what makes messages of bytes.
    """
    streams = handler.response_streaming
    kind = f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if streams else 'unary'}"
    behave = (stream if streams else unary)(getattr(handler, kind))
    make: Callable[..., grpc.RpcMethodHandler[Any, Any]] = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(
        behave,
        request_deserializer=read(handler.request_deserializer),
        response_serializer=handler.response_serializer,
    )
