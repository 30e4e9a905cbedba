"""What goes into the queue store and comes out of it. A chunk is a few hundred items that travel together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Packed items, how many they are, and the kind of worker that they are for, as a task's name: who asks for it."""

    payload: bytes
    items: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms chunks are on a queue.

    Tenants get equal shares of what is served, in items; of one tenant's chunks, those of higher `priority` (0 to 9)
    go first. What nobody has begun after `ttl_ms` is given up. `depth`: how many items asked for one another before.
    """

    tenant: str = DEFAULT_TENANT
    priority: int = 0
    ttl_ms: int | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Child:
    """A chunk that a chunk puts on a queue, together with its result; `queue` None is the one it is on itself."""

    chunk: Chunk
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a chunk, and what the chunk puts on queues if that counts."""

    chunk: str
    payload: bytes
    children: Sequence[Child] = ()


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of a submission: its items, and whether it had been made before."""

    items: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class LeasedChunk:
    """A chunk to work on: of the items in the payload, `items` from `first` on. `attempt` is 1 the first time."""

    id: str
    payload: bytes
    first: int
    items: int
    attempt: int

    @classmethod
    def of(cls, id_: bytes, payload: bytes, attempt: int) -> Self:
        """From what the store replied."""
        return cls(id_.decode(), payload, *extent_of(id_.decode()), attempt)

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + self.items)


@dataclass(frozen=True, slots=True)
class Lease:
    """Chunks that nobody else works on until the lease ends; the token proves it. Empty when nothing is ready."""

    token: str
    chunks: tuple[LeasedChunk, ...]


@dataclass(frozen=True, slots=True)
class DeadChunk:
    """A chunk given up after too many attempts, and why the last one bore no result. As for LeasedChunk: a part."""

    id: str
    payload: bytes
    first: int
    items: int
    error: str

    @classmethod
    def of(cls, id_: bytes, payload: bytes, error: bytes) -> Self:
        """From what the store replied."""
        return cls(id_.decode(), payload, *extent_of(id_.decode()), error.decode())

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + self.items)


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Items by what became of them. `last_error` says why the last dead ones were given up.

    A queue that was deleted and begun again, or lost with its server, has another `incarnation`.
    """

    ready: int
    leased: int
    done: int
    dead: int
    last_error: str
    cancelled: int = 0
    paused: bool = False
    incarnation: str = field(default="", compare=False)


# The store's ids are tenant/kind/9 - priority/order/depth/root/first/items; so kinds cannot have slashes there.
_SLASH, _NO_SLASH = "/", "|"


def stored_kind(kind: str) -> str:
    """A kind as the store has it."""
    return kind.replace(_SLASH, _NO_SLASH)


def kind_of(stored: str) -> str:
    """A kind from what the store has."""
    return stored.replace(_NO_SLASH, _SLASH)


def extent_of(id_: str) -> tuple[int, int]:
    """Of a chunk's id: the first of its items in the payload, and how many they are."""
    first, items = id_.split("/")[-2:]
    return int(first), int(items)


def depth_of(id_: str) -> int:
    """Of a chunk's id: how many items asked for one another before it."""
    return int(id_.split("/")[-4])


def root_of(id_: str) -> str:
    """Of a chunk's id: what the chunk it was part of goes by."""
    return id_.split("/")[-3]
