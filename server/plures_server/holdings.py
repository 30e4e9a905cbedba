"""Holdings: the chunks of one queue that somebody has leased and not yet given back."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from .errors import QueueUnavailable
from .queue.chunks import LeasedChunk, Result
from .queue.store import QueueConfig, QueueStore

VISIBILITY_MS = 30_000
"""How long a lease lasts unrenewed; it is renewed three times as often."""


class Holdings:
    """Chunks by id, each with the token of its lease. They are held until a call that gives them back has returned."""

    def __init__(self, store: QueueStore, queue: str) -> None:
        self._store = store
        self.queue = queue
        self._token_of: dict[str, str] = {}
        self._lost: set[str] = set()

    def __len__(self) -> int:
        return len(self._token_of)

    @property
    def config(self) -> QueueConfig:
        """The bounds of the queue."""
        return self._store.config

    @property
    def chunks(self) -> list[str]:
        """Their ids, in the order in which they were leased."""
        return list(self._token_of)

    @property
    def is_any_wanted(self) -> bool:
        """Whether a result for one of them may still count, as far as is known."""
        return not self._lost.issuperset(self._token_of)

    def by_lease(self, chunks: Iterable[str]) -> list[list[str]]:
        """The chunks, those together that were leased together: a call to the store is about one lease."""
        return [list(lease) for _, lease in groupby(chunks, self._token_of.__getitem__)]

    async def lease(self, count: int, kinds: Sequence[str]) -> Sequence[LeasedChunk]:
        """Take up to so many more of some kinds."""
        lease = await self._store.lease(self.queue, count, VISIBILITY_MS, kinds)
        self._token_of |= {chunk.id: lease.token for chunk in lease.chunks}
        return lease.chunks

    async def keep(self, doubts: asyncio.Event) -> None:
        """Renew all leases in time, or at once when there are doubts whether they hold, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(VISIBILITY_MS / 3000):
                    await doubts.wait()
            doubts.clear()
            for lease in self.by_lease(self.chunks):
                # What cannot be renewed may be done by others as well; then ours will not count.
                with contextlib.suppress(QueueUnavailable):
                    await self._renew(lease)

    async def complete(self, results: Sequence[Result]) -> frozenset[str]:
        """Give the results of chunks of one lease, and say which of them count."""
        ids = [result.chunk for result in results]
        accepted = await self._store.complete(self.queue, self._token_of[ids[0]], results)
        self._forget(ids)
        return accepted

    async def release(self, chunks: Iterable[str]) -> None:
        """Give chunks back unharmed, to their old places in line."""
        for lease in self.by_lease(chunks):
            await self._store.release(self.queue, self._token_of[lease[0]], lease)
            self._forget(lease)

    async def fail(self, chunks: Iterable[str], error: str) -> None:
        """Give chunks back that could not be done."""
        for lease in self.by_lease(chunks):
            await self._store.fail(self.queue, self._token_of[lease[0]], lease, error)
            self._forget(lease)

    async def _renew(self, lease: list[str]) -> None:
        # While another was renewed, it may have been given back.
        if (token := self._token_of.get(lease[0])) is not None:
            held = await self._store.renew(self.queue, token, lease, VISIBILITY_MS)
            self._lost |= set(lease) - held

    def _forget(self, chunks: Collection[str]) -> None:
        for chunk in chunks:
            del self._token_of[chunk]
