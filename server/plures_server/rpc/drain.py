"""The end of a server's life: what is under way is finished, and no more is begun."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import EngineStopped


class Drain:
    """Known to all streams that take requests for as long as their clients send some."""

    def __init__(self) -> None:
        self.begun = False
        self._readers: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """From now on no stream takes in more; what was taken in is answered."""
        self.begun = True
        for reader in self._readers:
            reader.cancel()

    @contextmanager
    def ends(self, reader: "asyncio.Task[None]") -> Iterator[None]:
        """The reader of a stream, which is cancelled when the drain begins."""
        if self.begun:
            reader.cancel()
        self._readers.add(reader)
        try:
            yield
        finally:
            self._readers.discard(reader)

    def check(self) -> None:
        """Raise EngineStopped once it has begun."""
        if self.begun:
            raise EngineStopped("the server is shutting down; try again at another, or in a moment")
