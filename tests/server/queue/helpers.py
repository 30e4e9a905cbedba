"""Shared by the tests of the queue: a clock that tests own, waiting for facts, and replies that get lost."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

from plures_server.queue.chunks import Chunk, Lease, Result
from plures_server.queue.store import QueueStore


class Clock:
    """Milliseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, ms: int) -> None:
        self.now_ms += ms


async def wait_until(fact: Callable[[], Awaitable[bool]], timeout_s: float = 10.0) -> None:
    """Return when the fact holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not await fact():
        assert time.monotonic() < deadline, f"{fact.__name__} did not come true in {timeout_s} s"
        await asyncio.sleep(0.005)


def chunks(*sizes: int) -> list[Chunk]:
    """One chunk a size, each with a payload of its own."""
    return [Chunk(f"payload {place} of {items}".encode(), items) for place, items in enumerate(sizes)]


def ids(lease: Lease) -> list[str]:
    """The ids of the leased chunks, in order."""
    return [chunk.id for chunk in lease.chunks]


async def complete_all(store: QueueStore, queue: str, lease: Lease) -> Sequence[str]:
    """Complete every chunk of the lease by its own payload."""
    accepted = await store.complete(queue, lease.token, [Result(chunk.id, chunk.payload) for chunk in lease.chunks])
    return sorted(accepted)


class LossyProxy:
    """Stands before a server's socket, passes everything on, and loses replies when told to."""

    def __init__(self, server: str, folder: Path) -> None:
        self.url = f"unix://{folder / 'proxy.sock'}"
        self.losses = 0
        self._server = server.removeprefix("unix://")
        self._path = folder / "proxy.sock"

    def lose_replies(self, count: int) -> None:
        """The next `count` commands are carried out, but their replies are lost with the connection."""
        self.losses = count

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._server)
        try:
            async with asyncio.TaskGroup() as tasks:
                there = tasks.create_task(_pass_on(reader, server_writer, lambda: True))
                back = tasks.create_task(_pass_on(server_reader, writer, self._passes))
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
                there.cancel()
                back.cancel()
        finally:
            for end in (writer, server_writer):
                end.close()
                with contextlib.suppress(ConnectionError):
                    await end.wait_closed()

    def _passes(self) -> bool:
        self.losses, lost = max(0, self.losses - 1), self.losses > 0
        return not lost


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: Callable[[], bool]) -> None:
    with contextlib.suppress(ConnectionError):
        while (data := await reader.read(1 << 16)) and passes():
            writer.write(data)
            await writer.drain()
