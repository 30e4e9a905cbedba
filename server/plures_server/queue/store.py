"""The queue store: what may happen to a queue, each change one Lua script and so one atomic step."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from ..errors import QueueUnavailable
from .calls import QueueConfig
from .chunks import Chunk, Enqueued, Lease, Result, Terms, kind_of
from .keys import QueueKeys
from .oversight import QueueOversight
from .refusals import MOST_CHUNKS, check_cursor

__all__ = ["MOST_CHUNKS", "QueueConfig", "QueueStore"]

ANY_KIND = ("",)
RELAYED_AT_ONCE = 100


class QueueStore(QueueOversight):
    """Queues of chunks, where each item has exactly one result: only who holds a chunk's lease can complete it.

    Every method raises QueueUnavailable when Redis does not answer and InvalidArgument for what is no queue's name.
    """

    async def enqueue(
        self, queue: str, submit_id: str, chunks: Sequence[Chunk], terms: Terms | None = None
    ) -> Enqueued:
        """Put all chunks on the queue or none; a second submission of the same id changes nothing.

        Raises QueueFull when that were more than `max_items`, or when `max_results` wait to be read and forgotten,
        InvalidArgument for an empty submission.
        """
        call = self._calls.enqueue(self._now_ms(), queue, submit_id, chunks, terms or Terms())
        return await self._repeatedly(queue, call)

    async def lease(self, queue: str, chunks: int, visibility_ms: int, kinds: Sequence[str] = ANY_KIND) -> Lease:
        """Take up to `chunks` chunks of some kinds for `visibility_ms`; what is not completed or renewed by then goes
        to others.

        A queue that does not exist has nothing ready. Cancelled, it gives back what it gets; a lease whose reply was
        lost counts as an attempt.
        """
        call = self._calls.lease(self._now_ms(), chunks, visibility_ms, kinds)
        leasing = asyncio.ensure_future(self._once(queue, call))
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:
            with contextlib.suppress(QueueUnavailable):
                unwanted = await leasing
                await self.release(queue, unwanted.token, [chunk.id for chunk in unwanted.chunks])
            raise

    async def renew(self, queue: str, token: str, ids: Collection[str], visibility_ms: int) -> frozenset[str]:
        """Let the lease of some chunks end `visibility_ms` from now. Returns those that the token still holds."""
        return await self._repeatedly(queue, self._calls.renew(self._now_ms(), token, ids, visibility_ms))

    async def complete(self, queue: str, token: str, results: Sequence[Result]) -> frozenset[str]:
        """Give the results of chunks. Returns the ids of those that count: not what the token does not hold.

        What a chunk puts on queues is put there if its result counts, in the same step. Asked again, as after
        QueueUnavailable, it answers the same and counts nothing twice.
        """
        return await self._repeatedly(queue, self._calls.complete(self._now_ms(), token, results))

    async def release(self, queue: str, token: str, ids: Collection[str]) -> None:
        """Give chunks back unharmed: to their old places in line, and the attempt does not count."""
        await self._repeatedly(queue, self._calls.release(self._now_ms(), token, ids))

    async def fail(self, queue: str, token: str, ids: Collection[str], error: str) -> None:
        """Give chunks back that could not be done, and say why. In the end their bad items are given up."""
        await self._repeatedly(queue, self._calls.fail(self._now_ms(), token, ids, error))

    async def results(self, queue: str, cursor: str, limit: int, block_ms: int = 0) -> list[tuple[str, bytes]]:
        """Up to `limit` results after the cursor ("": from the first), each with its own cursor, in order.

        Waits up to `block_ms` for the first one, or less: the socket's timeout bounds it. Results are kept for
        `results_kept_ms`, or until forgotten. A queue that does not exist has none.
        """
        check_cursor(cursor)
        results = QueueKeys(queue)["results"]
        # Redis takes 0 for "for ever".
        block = min(block_ms, self._connection.longest_block_ms) or None
        streams: Any = await self._connection.patiently(
            lambda: self._connection.readers.xread({results: cursor or "0"}, count=limit, block=block)
        )
        return [(id_.decode(), fields[b"result"]) for _, entries in streams for id_, fields in entries]

    async def relay(self, queue: str) -> frozenset[str]:
        """Carry what its items put on other queues there. Returns those queues. Raises QueueFull when one is full.

        Whoever dies or fails half-way leaves the rest to the next: each chunk is put on its queue once.
        """
        outbox = QueueKeys(queue)["outbox"]
        redis = self._connection.commands
        reached: set[str] = set()
        entries: Any = await self._connection.patiently(lambda: redis.xrange(outbox, count=RELAYED_AT_ONCE))
        incarnation = (await self.stats(queue)).incarnation if entries else ""
        for id_, fields in entries:
            target, chunk, terms = _outgoing(fields)
            # No other queue's life is called the same; with the queue's own name, the id could be too long for one.
            await self.enqueue(target, f"{incarnation}/{id_.decode()}", [chunk], terms)
            await self._connection.patiently(partial(redis.xdel, outbox, id_))
            reached.add(target)
        return frozenset(reached)


def _outgoing(fields: dict[bytes, bytes]) -> tuple[str, Chunk, Terms]:
    tenant, _, place = fields[b"place"].decode().partition("/")
    chunk = Chunk(fields[b"payload"], int(fields[b"items"]), kind_of(fields[b"kind"].decode()))
    return fields[b"queue"].decode(), chunk, Terms(tenant, 9 - int(place), depth=int(fields[b"depth"]))
