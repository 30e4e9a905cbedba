"""What the queue store refuses, and how it says so."""

import re
from collections.abc import Sequence

from ..errors import InvalidArgument, QueueFull, UnknownQueue
from .chunks import Chunk

MOST_CHUNKS = 200
"""Chunks in one lease: a thousand would keep all other clients of the store waiting for several ms."""

_CURSOR = re.compile(r"\d{1,19}(-\d{1,19})?")


def check_submission(submit_id: str, chunks: Sequence[Chunk]) -> None:
    """Raise InvalidArgument unless there are an id and items."""
    if not 1 <= len(submit_id) <= 128:
        raise InvalidArgument(f"a submit id has 1 to 128 characters, not {len(submit_id)}; a UUID is a good one")
    if not chunks or min(chunk.items for chunk in chunks) < 1:
        raise InvalidArgument(f"submission {submit_id!r} has no items; send at least one")


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


def unknown_queue(queue: str) -> UnknownQueue:
    """There is none of that name."""
    return UnknownQueue(f"there is no queue {queue!r}: it begins with its first item, and ends when it is deleted")
