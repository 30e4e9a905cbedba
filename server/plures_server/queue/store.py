"""The queue store: what may happen to a queue, each change one Lua script and so one atomic step."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

from ..errors import QueueUnavailable
from .chunks import Chunk, DeadChunk, Enqueued, Lease, LeasedChunk, QueueStats
from .connection import Connection, ConnectionConfig
from .keys import ANY_COUNTS, QueueKeys, queue_of
from .refusals import MOST_CHUNKS, check_chunks, check_cursor, check_submission, full_queue, unknown_queue
from .scripts import bind_scripts

__all__ = ["MOST_CHUNKS", "QueueConfig", "QueueStore"]


@dataclass(frozen=True)
class QueueConfig:
    """Bounds of a queue. The last submissions and completions are remembered, so that repeating one changes nothing."""

    max_items: int = 10_000_000
    max_attempts: int = 5
    submits_remembered: int = 262_144
    completions_remembered: int = 100_000
    dead_chunks_kept: int = 1_000
    results_kept_ms: int = 7 * 24 * 3_600_000


class QueueStore:
    """Queues of chunks, where each item has exactly one result: only who holds a chunk's lease can complete it.

    Every method raises QueueUnavailable when Redis does not answer and InvalidArgument for what is no queue's name.
    `clock` gives the ms by which leases end; left out, it is the Redis server's, which all clients share.
    """

    def __init__(
        self,
        url: str,
        config: QueueConfig | None = None,
        connection: ConnectionConfig | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._config = config or QueueConfig()
        self._clock = clock or (lambda: 0)
        self._connection = Connection(url, connection or ConnectionConfig())
        self._scripts = bind_scripts(self._connection.commands)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()

    async def enqueue(self, queue: str, submit_id: str, chunks: Sequence[Chunk]) -> Enqueued:
        """Put all chunks on the queue or none; a second submission of the same id changes nothing.

        Raises QueueFull when that were more than `max_items`, InvalidArgument for an empty submission.
        """
        check_submission(submit_id, chunks)
        arguments: list[Any] = [submit_id, uuid.uuid4().hex, self._config.max_items, self._config.submits_remembered]
        for chunk in chunks:
            arguments += (chunk.items, chunk.payload)
        outcome, items = await self._repeatable("enqueue", queue, arguments)
        if outcome == b"full":
            raise full_queue(queue, items, self._config.max_items, chunks)
        return Enqueued(items, duplicate=outcome == b"duplicate")

    async def lease(self, queue: str, chunks: int, visibility_ms: int) -> Lease:
        """Take up to `chunks` chunks for `visibility_ms`; what is not completed or renewed by then goes to others.

        A queue that does not exist has nothing ready. Cancelled, it gives back what it gets; a lease whose reply was
        lost counts as an attempt.
        """
        check_chunks(chunks, least=1)
        leasing = asyncio.ensure_future(self._lease(queue, chunks, visibility_ms))
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:
            with contextlib.suppress(QueueUnavailable):
                unwanted = await leasing
                await self.release(queue, unwanted.token, [chunk.id for chunk in unwanted.chunks])
            raise

    async def _lease(self, queue: str, chunks: int, visibility_ms: int) -> Lease:
        keys, config = QueueKeys(queue), self._config
        arguments = [self._clock(), chunks, visibility_ms, config.max_attempts, config.dead_chunks_kept]
        reply = await self._connection.once(lambda: self._scripts["lease"](keys.all, arguments))
        token, *fields = reply or [b""]
        rows = zip(fields[0::3], fields[1::3], fields[2::3], strict=True)
        return Lease(token.decode(), tuple(LeasedChunk.of(*row) for row in rows))

    async def renew(self, queue: str, token: str, ids: Collection[str], visibility_ms: int) -> frozenset[str]:
        """Let the lease of some chunks end `visibility_ms` from now. Returns those that the token still holds."""
        check_chunks(len(ids))
        held = await self._repeatable("renew", queue, [self._clock(), token, visibility_ms, *ids])
        return frozenset(id_.decode() for id_ in held)

    async def complete(self, queue: str, token: str, results: Sequence[tuple[str, bytes]]) -> frozenset[str]:
        """Give the results of chunks by id. Returns those that count: of a chunk that the token does not hold, none.

        Asked again, as after QueueUnavailable, it answers the same and counts nothing twice.
        """
        check_chunks(len(results))
        config = self._config
        arguments: list[Any] = [self._clock(), token, config.completions_remembered, config.results_kept_ms]
        for result in results:
            arguments += result
        accepted = await self._repeatable("complete", queue, arguments)
        return frozenset(id_.decode() for id_ in accepted)

    async def release(self, queue: str, token: str, ids: Collection[str], last: bool = False) -> None:
        """Give chunks back unharmed: they are next in line, or last, and the attempt does not count."""
        check_chunks(len(ids))
        await self._repeatable("release", queue, [token, "RPUSH" if last else "LPUSH", *ids])

    async def fail(self, queue: str, token: str, ids: Collection[str], error: str) -> None:
        """Give chunks back that could not be done, and say why. After `max_attempts` they are given up."""
        check_chunks(len(ids))
        config = self._config
        await self._repeatable("fail", queue, [token, error, config.max_attempts, config.dead_chunks_kept, *ids])

    async def results(self, queue: str, cursor: str, limit: int, block_ms: int = 0) -> list[tuple[str, bytes]]:
        """Up to `limit` results after the cursor ("": from the first), each with its own cursor, in order.

        Waits up to `block_ms` for the first one, or less: the socket's timeout bounds it. Results are kept for
        `results_kept_ms`. A queue that does not exist has none.
        """
        check_cursor(cursor)
        results = QueueKeys(queue).results
        # Redis takes 0 for "for ever".
        block = min(block_ms, self._connection.longest_block_ms) or None
        streams: Any = await self._connection.patiently(
            lambda: self._connection.readers.xread({results: cursor or "0"}, count=limit, block=block)
        )
        return [(id_.decode(), fields[b"result"]) for _, entries in streams for id_, fields in entries]

    async def stats(self, queue: str) -> QueueStats:
        """How many items are ready, leased, done and dead. Raises UnknownQueue."""
        fields = ("ready", "leased", "done", "dead", "last_error", "incarnation")
        counts = QueueKeys(queue).counts
        reply: Any = await self._connection.patiently(lambda: self._connection.commands.hmget(counts, fields))
        ready, leased, done, dead, last_error, incarnation = reply
        if incarnation is None:
            raise unknown_queue(queue)
        return QueueStats(
            int(ready or 0), int(leased or 0), int(done or 0), int(dead or 0), (last_error or b"").decode()
        )

    async def dead_chunks(self, queue: str, limit: int) -> list[DeadChunk]:
        """The chunks given up last, up to `limit` of the `dead_chunks_kept`, oldest first."""
        keys, redis = QueueKeys(queue), self._connection.commands

        async def read() -> list[DeadChunk]:
            ids: Any = await redis.lrange(keys.dead, -limit, -1)
            if not ids:
                return []
            payloads: Any = await redis.hmget(keys.payloads, ids)
            errors: Any = await redis.hmget(keys.errors, ids)
            # One that was given up meanwhile may have pushed the oldest out.
            return [DeadChunk.of(*row) for row in zip(ids, payloads, errors, strict=True) if None not in row]

        return await self._connection.patiently(read)

    async def delete(self, queue: str) -> None:
        """Remove a queue, its items and its results; leases on it hold nothing any more. Raises UnknownQueue."""
        keys = QueueKeys(queue).all
        if not await self._connection.once(lambda: self._connection.commands.unlink(*keys)):
            raise unknown_queue(queue)

    async def queues(self) -> list[str]:
        """The names of all queues, sorted."""

        async def read() -> list[str]:
            found = [queue_of(key.decode()) async for key in self._connection.commands.scan_iter(match=ANY_COUNTS)]
            return sorted(set(found))

        return await self._connection.patiently(read)

    async def _repeatable(self, script: str, queue: str, arguments: list[Any]) -> Any:
        keys = QueueKeys(queue).all
        return await self._connection.patiently(lambda: self._scripts[script](keys, arguments))
