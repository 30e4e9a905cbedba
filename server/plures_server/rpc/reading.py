"""Requests as bytes: what is no message is refused as any other argument, not met as a surprise."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from ..errors import InvalidArgument


@dataclass(frozen=True)
class Unreadable:
    """Bytes that are no message, in place of one: where they are read, nobody could be told."""

    why: str


def readable(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """The deserializer, which does not raise."""
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return Unreadable(str(error))

    return read


def checked(request: Any) -> Any:
    """The request, or the stream of them; raises InvalidArgument in place of one that is unreadable."""
    if hasattr(request, "__aiter__"):
        return _checked_stream(request)
    if isinstance(request, Unreadable):
        raise InvalidArgument(f"the request cannot be read ({request.why}); is the client of another version?")
    return request


async def _checked_stream(requests: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    async for request in requests:
        yield checked(request)
