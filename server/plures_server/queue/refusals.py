"""What the queue store refuses, and how it says so."""

import re
from collections.abc import Sequence

from ..errors import InvalidArgument, QueueFull, UnknownQueue, UnknownSubmission
from ..names import check_id, check_task, check_tenant
from .chunks import Chunk, Result, Terms, depth_of

MOST_CHUNKS = 200
"""Chunks in one lease: a thousand would keep all other clients of the store waiting for several ms."""

_CURSOR = re.compile(r"\d{1,19}(-\d{1,19})?")


def check_submission(submit_id: str, chunks: Sequence[Chunk], most_bytes: int) -> None:
    """Raise InvalidArgument unless there are an id and items, and no chunk is too big."""
    if not 1 <= len(submit_id) <= 128:
        raise InvalidArgument(f"a submit id has 1 to 128 characters, not {len(submit_id)}; a UUID is a good one")
    if not chunks or min(chunk.items for chunk in chunks) < 1:
        raise InvalidArgument(f"submission {submit_id!r} has no items; send at least one")
    for chunk in chunks:
        _check_chunk(chunk, most_bytes)


def check_terms(terms: Terms) -> None:
    """Raise InvalidArgument for terms that there are not."""
    check_tenant(terms.tenant)
    if not 0 <= terms.priority <= 9:
        raise InvalidArgument(f"a priority of {terms.priority} given; it is 0 to 9, and 9 is the most urgent")
    if terms.ttl_ms is not None and terms.ttl_ms < 1:
        raise InvalidArgument(f"a time to live of {terms.ttl_ms} ms given; give at least 1, or none for no end")


def check_results(results: Sequence[Result], most_depth: int, most_bytes: int) -> None:
    """Raise InvalidArgument for children that are too deep or too big."""
    for result in results:
        for child in result.children:
            _check_chunk(child.chunk, most_bytes)
            if child.queue is not None:
                check_id(child.queue, "queue")
        if result.children and depth_of(result.chunk) >= most_depth:
            raise InvalidArgument(
                f"items that asked for one another to a depth of {most_depth} ask for more; let such chains end sooner"
            )


def check_chunks(count: int, least: int = 0) -> None:
    """Raise InvalidArgument for more chunks than a lease has, or fewer than make sense."""
    if not least <= count <= MOST_CHUNKS:
        raise InvalidArgument(f"a call is about {least} to {MOST_CHUNKS} chunks, not {count}; make several calls")


def check_cursor(cursor: str) -> None:
    """Raise InvalidArgument unless it is empty or came with a result."""
    if cursor and not _CURSOR.fullmatch(cursor):
        raise InvalidArgument(f"{cursor[:80]!r} is not a cursor; use one that came with a result, or an empty one")


def full_queue(queue: str, depth: int, most: int, chunks: Sequence[Chunk]) -> QueueFull:
    """The queue has no room for the chunks."""
    return QueueFull(
        f"queue {queue!r} holds {depth} of at most {most} items, too many to take "
        f"{sum(chunk.items for chunk in chunks)} more; submit them again when some are done"
    )


def unread_results(queue: str, kept: int) -> QueueFull:
    """The queue's results take all the room there is for them."""
    return QueueFull(
        f"queue {queue!r} keeps {kept} results that nobody has said to be done with; read them and forget those that "
        "were read, then submit again"
    )


def unknown_queue(queue: str) -> UnknownQueue:
    """There is none of that name."""
    return UnknownQueue(f"there is no queue {queue!r}: it begins with its first item, and ends when it is deleted")


def unknown_submission(queue: str, submit_id: str) -> UnknownSubmission:
    """None of that id is remembered."""
    return UnknownSubmission(
        f"queue {queue!r} remembers no submission {submit_id!r}: it was never made, or long before others; leave the "
        "id out to cancel all items"
    )


def _check_chunk(chunk: Chunk, most_bytes: int) -> None:
    if chunk.kind:
        check_task(chunk.kind)
    if len(chunk.payload) > most_bytes:
        raise InvalidArgument(
            f"{chunk.items} items of {len(chunk.payload):,} bytes travel together, at most {most_bytes:,} can; "
            "send smaller items"
        )
