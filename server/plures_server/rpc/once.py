"""Once: a request that is tried again, because its answer was lost, is given the first answer and does nothing more."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..errors import InvalidArgument

REMEMBERED_SECONDS = 600.0
MOST_REMEMBERED = 10_000
LONGEST_ID = 64

Answer = TypeVar("Answer")


class Repeatable(Protocol):
    """A request with an id of the client's choice."""

    request_id: str

    def SerializeToString(self, *, deterministic: bool) -> bytes: ...


@dataclass(frozen=True)
class _Known:
    """What was asked, as a digest: requests may be large. When, and what was answered or will be."""

    digest: bytes
    at: float
    answer: "asyncio.Future[Any]"


class Once:
    """Answers of the last minutes, by whoever asked, kind of request and id. Failures are forgotten at once."""

    def __init__(self) -> None:
        # In the order in which they came.
        self._known: dict[tuple[str, type[Any], str], _Known] = {}

    async def do(self, whose: str, request: Repeatable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """The first answer to this id; raise InvalidArgument when something else was asked for under it."""
        if not request.request_id:
            return await work()
        if len(request.request_id) > LONGEST_ID:
            raise InvalidArgument(f"request_id has {len(request.request_id):,} characters; at most {LONGEST_ID}")
        self._forget_old()
        key = whose, type(request), request.request_id
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known(digest, time.monotonic(), asyncio.ensure_future(work()))
            known.answer.add_done_callback(lambda answer: self._forget_failed(key, answer))
        elif known.digest != digest:
            raise InvalidArgument(f"request_id {request.request_id!r} was used for another request; take a fresh one")
        # Who asked first may leave; whoever asks again is answered all the same.
        answer: Answer = await asyncio.shield(known.answer)
        return answer

    def _forget_failed(self, key: tuple[str, type[Any], str], answer: "asyncio.Future[Any]") -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._known.pop(key, None)

    def _forget_old(self) -> None:
        oldest = time.monotonic() - REMEMBERED_SECONDS
        while self._known:
            key, known = next(iter(self._known.items()))
            if known.at > oldest and len(self._known) < MOST_REMEMBERED:
                return
            del self._known[key]
