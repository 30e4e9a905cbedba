"""Cohorts to disk and back, beside the engine: while files are written, agents go on stepping.

A snapshot holds a reference to every page as it is; an agent that steps meanwhile gets a page of its own.
"""

import asyncio
import logging
import os
import shutil
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from torch import Tensor

from . import snapshot_files
from .cohort import Cohort, Ordinals
from .durable.policy import Durability
from .engine import Engine
from .errors import DamagedSnapshot, QuotaExceeded, UnknownSnapshot
from .freezing import freeze_idle
from .manifest import MANIFEST, Manifest
from .names import check_id, is_id, tenant_of
from .pages import Handles, Pages
from .pool import Pool
from .restoring import Chosen, admit, choose, needed, student_for
from .snapshot_files import PARTIAL, Written, hidden, storing
from .snapshot_reading import describe, read_manifest, read_pages, read_saved
from .transfer import Progress, outcome, watched

log = logging.getLogger(__name__)

AT_ONCE_BYTES = 4 << 20
"""States that are copied into the pool in one piece of the engine's work."""


class Snapshots:
    """Writes cohorts to one folder, and starts cohorts from it. What is not whole there is removed at the start."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._coming_bytes: Counter[str] = Counter()
        self._in_turn = asyncio.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in folder.glob(f".*{PARTIAL}*"):
            shutil.rmtree(path)

    async def write(self, cohort: str, name: str, ordinals: Ordinals | None = None) -> Written:
        """Save agents; raise AlreadyExists when the name is taken."""
        return await outcome(self.writing(cohort, name, ordinals))

    async def restore(
        self, name: str, cohort: str, ordinals: Ordinals | None = None, durability: Durability | None = None
    ) -> Cohort:
        """Start a cohort from a snapshot: its agents, or those picked, with the seeds, steps and states they had."""
        return await outcome(self.restoring(name, cohort, ordinals, durability))

    async def writing(
        self, cohort: str, name: str, ordinals: Ordinals | None = None
    ) -> AsyncGenerator[Progress | Written, None]:
        """As `write`, telling of progress; who leaves before the end has nothing written."""
        target = self.path(name)
        frozen = await self._engine.borrow(
            lambda pool: freeze_idle(pool, cohort, ordinals), lambda pool, frozen: frozen.let_go()
        )
        try:
            writing = watched(partial(snapshot_files.write, target, frozen.content))
            async with self.room_for(name, frozen.bytes), aclosing(writing) as events:
                async for event in events:
                    yield event
        finally:
            await self._engine.give_back(lambda pool: frozen.let_go())

    async def restoring(
        self, name: str, cohort: str, ordinals: Ordinals | None = None, durability: Durability | None = None
    ) -> AsyncGenerator[Progress | Cohort, None]:
        """As `restore`, telling of progress; who leaves before the end has started nothing."""
        source = self.path(name)
        manifest = await asyncio.to_thread(read_manifest, source)
        student = student_for(manifest, self._engine.students)
        pages, numbers = self._engine.pool.pages(student), self._engine.pool.event_numbers
        agents = manifest.alive if ordinals is None else len(ordinals)
        await self._engine.call(lambda pool: pool.check_room(cohort, agents, student))
        saved = await asyncio.to_thread(read_saved, source, manifest, student.config.actions, numbers)
        chosen = await asyncio.to_thread(choose, saved, name, ordinals)
        handles = await self._engine.borrow(
            lambda pool: pages.acquire(len(chosen.pages)), lambda pool, handles: pages.release(handles)
        )
        try:
            async with aclosing(self._fill(pages, handles, chosen, source, manifest)) as events:
                async for event in events:
                    yield event
            yield await self._engine.call(lambda pool: admit(pool, cohort, name, manifest, chosen, handles, durability))
        finally:
            await self._engine.give_back(lambda pool: pages.release(handles))

    async def _fill(
        self, pages: Pages, handles: Handles, chosen: Chosen, source: Path, manifest: Manifest
    ) -> AsyncGenerator[Progress, None]:
        """Copy states into pages that nobody else has seen yet; every file is checked, needed or not."""
        shards, done, few = read_pages(source, manifest), 0, max(1, AT_ONCE_BYTES // pages.page_bytes)
        while (shard := await asyncio.to_thread(next, shards, None)) is not None:
            into, states = await asyncio.to_thread(needed, chosen, handles, shard, 1 + done)
            # Few at a time, so that others get their turns.
            for row in range(0, len(into), few):
                part = slice(row, row + few)
                await self._engine.call(partial(_put, pages, into[part], states[part]))
            done += len(shard)
            yield Progress(done * pages.page_bytes, manifest.pages * pages.page_bytes)

    @asynccontextmanager
    async def room_for(self, name: str, more_bytes: int) -> AsyncGenerator[None, None]:
        """So many bytes of its tenant's quota, while a snapshot of that name is written; raise QuotaExceeded."""
        tenant = tenant_of(name)
        # One after the other, each seeing what those before it were given.
        async with self._in_turn:
            await asyncio.to_thread(self._check_quota, tenant, more_bytes)
            self._coming_bytes[tenant] += more_bytes
        try:
            yield
        finally:
            self._coming_bytes[tenant] -= more_bytes

    def _check_quota(self, tenant: str, more_bytes: int) -> None:
        most = self._engine.pool.shares.quota(tenant).snapshot_bytes
        if most is None:
            return
        held = sum(written.bytes for written in self.list(tenant) if tenant_of(written.name) == tenant)
        held += self._coming_bytes[tenant]
        if held + more_bytes > most:
            raise QuotaExceeded(
                f"{more_bytes:,} bytes more are beyond the quota of tenant {tenant!r}: its snapshots take {held:,} of "
                f"{most:,}; delete some",
                tenant,
                "snapshot_bytes",
            )

    def path(self, name: str) -> Path:
        """Where a snapshot of that name is, or would be."""
        return self._folder / check_id(name, "snapshot")

    def list(self, after: str = "", most: int | None = None) -> list[Written]:
        """Those that are whole, in the order of their names, beyond `after`. One with a bad manifest is left out."""
        names = sorted(path.name for path in self._folder.iterdir() if is_id(path.name) and path.name > after)
        return list(islice(filter(None, map(self._described, names)), most))

    def delete(self, name: str) -> None:
        """Remove a snapshot; raise UnknownSnapshot when there is none."""
        path = self.path(name)
        if not (path / MANIFEST).exists():
            raise UnknownSnapshot(f"no snapshot {name!r} in the server's snapshot folder")
        with storing():
            # At once for readers; in the hidden folder it is swept, should the server die meanwhile.
            bin = hidden(path)
            os.rename(path, bin / "deleted")
            shutil.rmtree(bin)

    def _described(self, name: str) -> Written | None:
        try:
            return describe(self._folder / name)
        except (UnknownSnapshot, DamagedSnapshot) as error:
            log.warning("not listed: %s", error)
            return None


def _put(pages: Pages, handles: Handles, states: Tensor, pool: Pool) -> None:
    pages.put(handles, states)
