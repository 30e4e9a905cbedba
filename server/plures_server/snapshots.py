"""Cohorts to disk and back, beside the engine: while files are written, agents go on stepping.

A snapshot holds a reference to every page as it is; an agent that steps meanwhile gets a page of its own.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from . import snapshot_files
from .cohort import Cohort
from .durable.policy import Durability
from .engine import Engine
from .errors import StudentMismatch
from .manifest import Manifest
from .names import check_id
from .pages import Handles, Pages
from .pool import Pool
from .snapshot_files import AGENT_FIELDS, Written
from .students import ServedStudent, Students

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE_BYTES = 4 << 20
"""States that are copied into the pool in one piece of the engine's work."""


@dataclass(frozen=True)
class Frozen:
    """A cohort as it was, and the references that keep its states so."""

    facts: dict[str, Any]
    agents: dict[str, Tensor]
    pages: Pages
    held: Handles

    def let_go(self) -> None:
        self.pages.release(self.held)


class Snapshots:
    """Writes cohorts to one folder, and starts cohorts from it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def write(self, cohort: str, name: str) -> Written:
        """Save a cohort; raise AlreadyExists when the name is taken."""
        target = self._folder / check_id(name, "snapshot")
        frozen = await self._engine.borrow(
            lambda pool: _freeze_idle(pool, cohort), lambda pool, frozen: frozen.let_go()
        )
        try:
            return await _in_thread(snapshot_files.write, target, frozen.facts, frozen.agents, frozen.pages.get)
        finally:
            await self._engine.give_back(lambda pool: frozen.let_go())

    async def restore(self, name: str, cohort: str, durability: Durability | None = None) -> Cohort:
        """Start a cohort from a snapshot: its agents with the seeds, steps and states they had."""
        source = self._folder / check_id(name, "snapshot")
        manifest = await _in_thread(snapshot_files.read_manifest, source)
        student = student_for(manifest, self._engine.students)
        pages = self._engine.pool.pages(student)
        agents = await _in_thread(snapshot_files.read_agents, source, manifest, student.config.actions)
        slots = await self._engine.borrow(
            lambda pool: pages.acquire(manifest.pages), lambda pool, slots: pages.release(slots)
        )
        try:
            await self._fill(pages, slots, snapshot_files.read_pages(source, manifest))
            return await self._engine.call(lambda pool: admit(pool, cohort, manifest, agents, slots, durability))
        finally:
            await self._engine.give_back(lambda pool: pages.release(slots))

    async def _fill(self, pages: Pages, handles: Handles, shards: Iterator[Tensor]) -> None:
        """Copy states into pages that nobody else has seen yet, few at a time, so that others get their turns."""
        few, first = max(1, AT_ONCE_BYTES // pages.page_bytes), 0
        while (shard := await _in_thread(next, shards, None)) is not None:
            for row in range(0, len(shard), few):
                states = shard[row : row + few]
                held = handles[first : first + len(states)]
                await self._engine.call(partial(_put, pages, held, states))
                first += len(states)


def student_for(manifest: Manifest, students: Students) -> ServedStudent:
    """The student whose copies a snapshot holds; raise StudentMismatch when another is loaded under its name."""
    student = students.get(manifest.student)
    if student.digest != manifest.student_digest or student.config.page_floats != manifest.page_floats:
        raise StudentMismatch(
            f"the snapshot's agents are copies of {student.name!r} with the weights "
            f"{manifest.student_digest[:12]}…, but loaded is {student.digest[:12]}…; load that student"
        )
    return student


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do the work beside the event loop, to its end even when the caller is cancelled: it holds pages."""
    task = asyncio.create_task(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _freeze_idle(pool: Pool, name: str) -> Frozen:
    cohort = pool.get(name)
    pool.select(cohort, None)  # refuses agents in the middle of a run
    return freeze(pool, cohort)


def freeze(pool: Pool, cohort: Cohort) -> Frozen:
    """A cohort as it is; no run may be under way on its agents."""
    pages, student = pool.pages(cohort.student), cohort.student
    facts = {
        "student": student.name,
        "student_digest": student.digest,
        "seed": cohort.seed,
        "parent": cohort.name,
        "count": cohort.count,
        "page_floats": student.config.page_floats,
    }
    agents = {field: torch.from_numpy(getattr(cohort, field).copy()) for field in AGENT_FIELDS}
    # Retired agents keep no state; the newborn page stands in for theirs.
    agents["page"][~agents["alive"]] = 0
    held = agents["page"].numpy().copy()
    pages.retain(held)
    return Frozen(facts, agents, pages, held)


def _put(pages: Pages, handles: Handles, states: Tensor, pool: Pool) -> None:
    pages.put(handles, states)


def admit(
    pool: Pool,
    name: str,
    manifest: Manifest,
    agents: dict[str, Tensor],
    slots: Handles,
    durability: Durability | None = None,
) -> Cohort:
    """Start a cohort of the agents of a snapshot whose states are in these pages."""
    pool.journals.check(durability)
    arrays = {field: agents[field].numpy() for field in AGENT_FIELDS}
    page = slots[arrays.pop("page")].astype(np.int32)
    student = pool.students.get(manifest.student)
    cohort = pool.admit(Cohort(name, student, manifest.seed, page=page, parent=manifest.parent, **arrays), durability)
    pool.pages(student).retain(page[cohort.alive])
    return cohort
