"""Traces: what part of a call took how long. This is what the rest knows of them; `otel.py` makes them."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

Mark = Any
"""Of a span that others are part of; None where nothing is traced."""


class Tracing(Protocol):
    """Makes spans."""

    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> AbstractContextManager[Any]:
        """The span of a call, part of the client's when its metadata has a `traceparent`."""
        ...

    def here(self) -> Mark:
        """The span that this task is in."""
        ...

    def waved(self, marks: Sequence[Mark], agents: int, began: int, stepping: int, stepped: int) -> None:
        """One wave stepped agents of the calls with these marks; nanoseconds since 1970."""
        ...


class NoTracing:
    """Makes none, and costs nothing."""

    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> AbstractContextManager[Any]:
        return nullcontext()

    def here(self) -> Mark:
        return None

    def waved(self, marks: Sequence[Mark], agents: int, began: int, stepping: int, stepped: int) -> None:
        """Nothing to do: nobody has marks."""


NO_TRACING = NoTracing()
