"""What goes into the queue store and comes out of it. A chunk is a few hundred items that travel together."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Chunk:
    """Packed items, and how many they are."""

    payload: bytes
    items: int


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of a submission: its items, and whether it had been made before."""

    items: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class LeasedChunk:
    """A chunk to work on. `attempt` is 1 the first time."""

    id: str
    payload: bytes
    items: int
    attempt: int

    @classmethod
    def of(cls, id_: bytes, payload: bytes, attempt: int) -> Self:
        """From what the store replied."""
        return cls(id_.decode(), payload, _items_of(id_), attempt)


@dataclass(frozen=True, slots=True)
class Lease:
    """Chunks that nobody else works on until the lease ends; the token proves it. Empty when nothing is ready."""

    token: str
    chunks: tuple[LeasedChunk, ...]


@dataclass(frozen=True, slots=True)
class DeadChunk:
    """A chunk given up after too many attempts, and why the last one bore no result."""

    id: str
    payload: bytes
    items: int
    error: str

    @classmethod
    def of(cls, id_: bytes, payload: bytes, error: bytes) -> Self:
        """From what the store replied."""
        return cls(id_.decode(), payload, _items_of(id_), error.decode())


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Items by what became of them. `last_error` says why the last dead ones were given up."""

    ready: int
    leased: int
    done: int
    dead: int
    last_error: str


def _items_of(id_: bytes) -> int:
    # The store's ids are `sequence:items`.
    return int(id_.rpartition(b":")[2])
