"""Room: how much of a stream is in a server at a time."""

import asyncio


class Room:
    """So many things of so many bytes together; one that is larger by itself is let in when it is alone."""

    def __init__(self, things: int, size: int) -> None:
        self._things, self._bytes = things, size
        self._held: list[int] = [0, 0]
        self._freed = asyncio.Event()

    async def acquire(self, size: int) -> None:
        """Wait until there is room. One waits at a time."""
        while not self._fits(size):
            self._freed.clear()
            await self._freed.wait()
        self._change(1, size)

    def release(self, size: int) -> None:
        self._change(-1, -size)
        self._freed.set()

    def _fits(self, size: int) -> bool:
        things, held = self._held
        return things == 0 or (things < self._things and held + size <= self._bytes)

    def _change(self, things: int, size: int) -> None:
        self._held[0] += things
        self._held[1] += size
