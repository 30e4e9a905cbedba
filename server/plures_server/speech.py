"""What agents of a language model read and say: a call that answers in pieces, and its way through the pool."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from .cohort import Ordinals

MAX_SPEAKERS = 256
"""Agents of one call."""


@dataclass(frozen=True)
class SayRequest:
    """What all the agents read, text or tokens, and how they go on. temperature 0: by what is likeliest, always."""

    cohort: str
    ordinals: Ordinals | None
    text: str | None
    tokens: tuple[int, ...]
    max_tokens: int
    temperature: float = 1.0
    stop_tokens: tuple[int, ...] = ()


@dataclass(frozen=True)
class Piece:
    """What an agent has said since its last piece. `ended`: "" while it goes on, then "length" or "stop"."""

    ordinal: int
    tokens: tuple[int, ...]
    text: str
    ended: str


class Saying(Protocol):
    """Agents that read and say; they are busy until `keep` or `drop`, and as they were until `keep`."""

    def next_pieces(self) -> Generator[None, None, list[Piece]]:
        """What was said next; none when all have ended and have read what they said. Yields to let others in."""
        ...

    def keep(self) -> None: ...

    def drop(self) -> None: ...
