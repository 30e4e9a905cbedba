"""What operators do with queues: look at them, stop and go on, cancel, and see to what was given up."""

from collections.abc import Collection, Sequence
from typing import Any

from .chunks import DeadChunk, QueueStats, root_of
from .keys import ANY_COUNTS, QueueKeys, queue_of
from .refusals import check_cursor, unknown_queue, unknown_submission
from .runner import ScriptRunner

CHUNKS_A_CALL = 1_000
"""Chunks that are cancelled, or given another life, in one step: more would keep others waiting."""


class QueueOversight(ScriptRunner):
    """All that is not work. Every method raises QueueUnavailable when Redis does not answer."""

    async def stats(self, queue: str) -> QueueStats:
        """How many items are ready, leased, done, dead and cancelled. Raises UnknownQueue."""
        fields = ("ready", "leased", "done", "dead", "cancelled", "last_error", "paused", "incarnation")
        counts = QueueKeys(queue)["counts"]
        reply: Any = await self._connection.patiently(lambda: self._connection.commands.hmget(counts, fields))
        *numbers, last_error, paused, incarnation = reply
        if incarnation is None:
            raise unknown_queue(queue)
        ready, leased, done, dead, cancelled = (int(number or 0) for number in numbers)
        told = (last_error or b"").decode(), cancelled, paused is not None, incarnation.decode()
        return QueueStats(ready, leased, done, dead, *told)

    async def pause(self, queue: str) -> None:
        """Lease nothing more until `resume`; what is leased may be completed. Raises UnknownQueue."""
        await self._set_paused(queue, True)

    async def resume(self, queue: str) -> None:
        """Lease again. Raises UnknownQueue."""
        await self._set_paused(queue, False)

    async def cancel(self, queue: str, submit_id: str | None = None) -> int:
        """Take a submission's items off the queue, or all; results of those under way do not count any more.

        Returns how many items that were. What they put on queues before goes on. Raises UnknownSubmission.
        """
        roots = await self._all_roots(queue) if submit_id is None else await self._roots_of(queue, submit_id)
        cancelled = 0
        for first in range(0, len(roots), CHUNKS_A_CALL):
            call = self._calls.cancel(self._now_ms(), roots[first : first + CHUNKS_A_CALL])
            cancelled += await self._repeatedly(queue, call)
        return cancelled

    async def oldest_lease_s(self, queue: str) -> float | None:
        """Seconds until the first lease ends, below 0 when it has ended; None when nothing is leased."""
        keys, redis = QueueKeys(queue), self._connection.commands

        async def read() -> float | None:
            first: Any = await redis.zrange(keys["leases"], 0, 0, withscores=True)
            seconds, microseconds = await redis.time()
            return first[0][1] / 1e3 - seconds - microseconds / 1e6 if first else None

        return await self._connection.patiently(read)

    async def dead_chunks(self, queue: str, limit: int) -> list[DeadChunk]:
        """The chunks given up last, up to `limit` of the `dead_chunks_kept`, oldest first."""
        keys, redis = QueueKeys(queue), self._connection.commands

        async def read() -> list[DeadChunk]:
            ids: Any = await redis.lrange(keys["dead"], -limit, -1)
            if not ids:
                return []
            roots = [root_of(id_.decode()) for id_ in ids]
            payloads: Any = await redis.hmget(keys["payloads"], roots)
            errors: Any = await redis.hmget(keys["errors"], ids)
            # One that was given up meanwhile may have pushed the oldest out.
            return [DeadChunk.of(*row) for row in zip(ids, payloads, errors, strict=True) if None not in row]

        return await self._connection.patiently(read)

    async def requeue(self, queue: str, ids: Collection[str] | None = None) -> int:
        """Give dead chunks, or all that are kept, another life with all its attempts. Returns how many items."""
        if ids is None:
            ids = await self._all_dead(queue)
        wanted, requeued = list(ids), 0
        for first in range(0, len(wanted), CHUNKS_A_CALL):
            call = self._calls.requeue(self._now_ms(), wanted[first : first + CHUNKS_A_CALL])
            requeued += await self._repeatedly(queue, call)
        return requeued

    async def forget_results(self, queue: str, cursor: str) -> int:
        """Drop the results up to a cursor, whose readers are done with them. Returns how many chunks' they were."""
        check_cursor(cursor)
        if not cursor:
            return 0
        ms, _, number = cursor.partition("-")
        first_kept = f"{ms}-{int(number or 0) + 1}"
        results = QueueKeys(queue)["results"]
        trim = self._connection.commands.xtrim
        return int(await self._connection.patiently(lambda: trim(results, minid=first_kept, approximate=False)))

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

    async def _set_paused(self, queue: str, paused: bool) -> None:
        if not await self._repeatedly(queue, self._calls.pause(self._now_ms(), paused)):
            raise unknown_queue(queue)

    async def _all_dead(self, queue: str) -> list[str]:
        dead = QueueKeys(queue)["dead"]
        found: Any = await self._connection.patiently(lambda: self._connection.commands.lrange(dead, 0, -1))
        return [id_.decode() for id_ in found]

    async def _all_roots(self, queue: str) -> Sequence[str]:
        live = QueueKeys(queue)["live"]
        found: Any = await self._connection.patiently(lambda: self._connection.commands.hkeys(live))
        return [root.decode() for root in found]

    async def _roots_of(self, queue: str, submit_id: str) -> Sequence[str]:
        submits = QueueKeys(queue)["submits"]
        found: Any = await self._connection.patiently(lambda: self._connection.commands.hget(submits, submit_id))
        if found is None:
            raise unknown_submission(queue, submit_id)
        _, first, last = found.split()
        return [f"{root:0{len(first)}d}" for root in range(int(first), int(last) + 1)]
