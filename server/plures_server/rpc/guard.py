"""The guard of every call: who asks, whether they may now, and which names are theirs."""

from __future__ import annotations  # grpc's classes are generic in their stubs alone

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc

from ..access import caller
from ..access.door import Door
from ..access.scoping import Scope
from ..errors import PluresError
from .wrapping import HEALTH, Context, Continuation, Stream, Streamed, Unary, wrapped


class GuardInterceptor(grpc.aio.ServerInterceptor):
    """Lets in who has a token, within their quota, to what is theirs."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(HEALTH):
            return handler
        return wrapped(handler, self._guard_unary, self._guard_stream)

    def _guard_unary(self, behave: Unary) -> Unary:
        async def guarded(request: Any, context: Context) -> Any:
            with self._let_in(context) as scope:
                if scope is None:
                    return await behave(request, context)
                return scope.outward(await behave(self._inward(scope, request), context))

        return guarded

    def _guard_stream(self, behave: Stream) -> Streamed:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            with self._let_in(context) as scope:
                mine = request if scope is None else self._inward(scope, request)
                # A caller who leaves ends the behaviour at once, not when its garbage is collected.
                async with aclosing(behave(mine, context)) as responses:
                    async for response in responses:
                        yield response if scope is None else scope.outward(response)

        return guarded

    @contextmanager
    def _let_in(self, context: Context) -> Iterator[Scope | None]:
        """The caller's view; None for a server without tenants, where all is everybody's."""
        tenant = self._door.tenant(_authorization(context))
        caller.tenant.set(tenant)
        if not tenant:
            yield None
            return
        scope = Scope(tenant)
        try:
            with self._door.call(tenant):
                yield scope
        except PluresError as error:
            error.args = (scope.text(str(error)),)
            raise

    def _inward(self, scope: Scope, request: Any) -> Any:
        return self._paced(scope, request) if hasattr(request, "__aiter__") else scope.inward(request)

    async def _paced(self, scope: Scope, requests: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        """Not refused but slowed, when they come too fast: flow control tells the client."""
        async for request in requests:
            await self._turn(scope.tenant)
            yield scope.inward(request)

    async def _turn(self, tenant: str) -> None:
        # Nothing but time brings it.
        while wait_s := self._door.wait(tenant):  # noqa: ASYNC110
            await asyncio.sleep(wait_s)


def _authorization(context: Context) -> str:
    found = (value for key, value in context.invocation_metadata() or () if key == "authorization")
    value = next(found, "")
    return value if isinstance(value, str) else ""
