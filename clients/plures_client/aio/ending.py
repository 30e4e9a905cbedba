"""Why a stream ended: the server's words, also where gRPC puts its own in their place."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import grpc.aio

from ..errors import PluresClientError, Unavailable
from ..status import from_rpc_error

# What grpc.aio reports when a write meets a stream that the server has ended: before the server's status, or over it
# (https://github.com/grpc/grpc/issues/36066).
_WRITE_FAILED = "Internal error from Core"
_PATIENCE_S = 1.0


class Ending:
    """Keeps the status with which a server ends a call; made before the call's first write."""

    def __init__(
        self, call: "grpc.aio.StreamUnaryCall[Any, Any] | grpc.aio.StreamStreamCall[Any, Any]", address: str
    ) -> None:
        self._address = address
        self._said: asyncio.Future[grpc.aio.AioRpcError] = asyncio.get_running_loop().create_future()
        call.add_done_callback(self._keep)

    async def why(self, error: grpc.aio.AioRpcError) -> PluresClientError:
        """What `error` means; when it only says that a write failed, the server's status, awaited for a second."""
        if error.details() == _WRITE_FAILED:
            await asyncio.wait({self._said}, timeout=_PATIENCE_S)
            error = self._said.result() if self._said.done() else error
        return self.early() if error.code() is grpc.StatusCode.OK else from_rpc_error(error, self._address)

    def early(self) -> Unavailable:
        """The error for a server that ended the stream, and gave no reason."""
        return Unavailable(f"the server at {self._address} ended the stream; open it again")

    def _keep(self, call: Any) -> None:
        details = _at_once(call.details())
        if details != _WRITE_FAILED and not self._said.done():
            code, initial, trailing = map(_at_once, (call.code(), call.initial_metadata(), call.trailing_metadata()))
            self._said.set_result(grpc.aio.AioRpcError(code, initial, trailing, details))


def _at_once(part: Coroutine[Any, Any, Any]) -> Any:
    """A part of the status of a call that has ended: there by now, and written over by the time a task has its turn."""
    try:
        part.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a call has ended without a status")
