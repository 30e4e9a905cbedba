"""What is asked of the scripts, and what their replies mean; nothing here talks to a server."""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .chunks import Chunk, Enqueued, Lease, LeasedChunk, Result, Terms, stored_kind
from .refusals import check_chunks, check_results, check_submission, check_terms, full_queue, unread_results

T = TypeVar("T")


@dataclass(frozen=True)
class QueueConfig:
    """Bounds of a queue. The last submissions and completions are remembered, so that repeating one changes nothing.

    A chunk of several items that bore no result `attempts_whole` times falls into halves, as do these; an item is given
    up after `max_attempts`, alone or in a chunk.
    """

    max_items: int = 10_000_000
    max_attempts: int = 5
    attempts_whole: int = 2
    max_depth: int = 16
    max_children: int = 1_024
    max_payload_bytes: int = 8 << 20
    max_results: int = 1_000_000
    submits_remembered: int = 262_144
    completions_remembered: int = 100_000
    dead_chunks_kept: int = 10_000
    results_kept_ms: int = 7 * 24 * 3_600_000
    idle_ms: int = 30 * 24 * 3_600_000

    @property
    def limits(self) -> tuple[int, int, int]:
        """As the scripts take them."""
        return min(self.attempts_whole, self.max_attempts), self.max_attempts, self.dead_chunks_kept


@dataclass(frozen=True)
class Call(Generic[T]):
    """A script to run on a queue's keys, and how to read its reply."""

    script: str
    arguments: tuple[Any, ...]
    read: Callable[[Any], T]


class QueueCalls:
    """One method a script; each checks what it is given. `now_ms` is the time by which leases end, 0 the server's."""

    def __init__(self, config: QueueConfig) -> None:
        self._config = config

    def enqueue(self, now_ms: int, queue: str, submit_id: str, chunks: Sequence[Chunk], terms: Terms) -> Call[Enqueued]:
        config = self._config
        check_submission(submit_id, chunks, config.max_payload_bytes)
        check_terms(terms)
        bounds = (config.max_items, config.submits_remembered, config.max_results)
        place = f"{terms.tenant}/{9 - terms.priority}"
        arguments: list[Any] = [submit_id, uuid.uuid4().hex, *bounds, place, terms.depth, terms.ttl_ms or 0]
        for chunk in chunks:
            arguments += (stored_kind(chunk.kind), chunk.items, chunk.payload)

        def read(reply: Any) -> Enqueued:
            outcome, count = reply
            if outcome == b"full":
                raise full_queue(queue, count, config.max_items, chunks)
            if outcome == b"unread":
                raise unread_results(queue, count)
            return Enqueued(count, duplicate=outcome == b"duplicate")

        return self._call("enqueue", now_ms, arguments, read)

    def lease(self, now_ms: int, chunks: int, visibility_ms: int, kinds: Sequence[str]) -> Call[Lease]:
        check_chunks(chunks, least=1)
        return self._call(
            "lease", now_ms, [chunks, visibility_ms, *self._config.limits, *map(stored_kind, kinds)], _lease
        )

    def renew(self, now_ms: int, token: str, ids: Collection[str], visibility_ms: int) -> Call[frozenset[str]]:
        check_chunks(len(ids))
        return self._call("renew", now_ms, [token, visibility_ms, *ids], _ids)

    def complete(self, now_ms: int, token: str, results: Sequence[Result]) -> Call[frozenset[str]]:
        config = self._config
        check_chunks(len(results))
        check_results(results, config.max_depth, config.max_payload_bytes)
        arguments: list[Any] = [token, config.completions_remembered, config.results_kept_ms]
        for result in results:
            arguments += (result.chunk, result.payload, len(result.children))
            for child in result.children:
                chunk = child.chunk
                arguments += (child.queue or "", stored_kind(chunk.kind), chunk.items, chunk.payload)
        return self._call("complete", now_ms, arguments, _ids)

    def release(self, now_ms: int, token: str, ids: Collection[str]) -> Call[None]:
        check_chunks(len(ids))
        return self._call("release", now_ms, [token, *ids], _nothing)

    def fail(self, now_ms: int, token: str, ids: Collection[str], error: str) -> Call[None]:
        check_chunks(len(ids))
        return self._call("fail", now_ms, [token, error, *self._config.limits, *ids], _nothing)

    def cancel(self, now_ms: int, roots: Collection[str]) -> Call[int]:
        return self._call("cancel", now_ms, roots, int)

    def requeue(self, now_ms: int, ids: Collection[str]) -> Call[int]:
        return self._call("requeue", now_ms, ids, int)

    def pause(self, now_ms: int, paused: bool) -> Call[bool]:
        return self._call("pause", now_ms, [int(paused)], bool)

    def _call(self, script: str, now_ms: int, arguments: Collection[Any], read: Callable[[Any], T]) -> Call[T]:
        return Call(script, (now_ms, self._config.idle_ms, *arguments), read)


def _lease(reply: Any) -> Lease:
    token, *fields = reply or [b""]
    rows = zip(fields[0::3], fields[1::3], fields[2::3], strict=True)
    return Lease(token.decode(), tuple(LeasedChunk.of(*row) for row in rows))


def _ids(reply: Any) -> frozenset[str]:
    return frozenset(id_.decode() for id_ in reply)


def _nothing(_: Any) -> None:
    return None
