"""Tiers: wherever a page lies, and whatever moves meanwhile, it is whole, there once, and counted right."""

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from plures_server.pages import ColdConfig, Tiered
from plures_server.pages.whereabouts import HOT, NOWHERE
from plures_server.pool import Pool

from .test_pool import PoolAndModel, pool_of


class Late(Future[None]):
    """A copy that is made when somebody asks how it went, and not before."""

    def __init__(self, thread: "LateThread", copy: Callable[[], None]) -> None:
        super().__init__()
        self._thread = thread
        self.copy = copy

    def exception(self, timeout: float | None = None) -> BaseException | None:
        while not self.done():
            self._thread.copy_one()
        return super().exception(timeout)


class LateThread:
    """In place of the mover's thread: copies in order, each as late as the test wants."""

    def __init__(self) -> None:
        self.waiting: list[Late] = []

    def submit(self, copy: Callable[..., None], *arguments: Any) -> Late:
        self.waiting.append(Late(self, lambda: copy(*arguments)))
        return self.waiting[-1]

    def copy_one(self) -> None:
        late = self.waiting.pop(0)
        late.copy()
        late.set_result(None)

    def shutdown(self) -> None:
        self.waiting.clear()


class TieredPoolAndModel(PoolAndModel):
    """As without tiers, and no two pages lie in one slot, and no slot is lost."""

    hot, host, disk = 4, 3, 6

    def make_pool(self) -> Pool:
        self.folder = Path(tempfile.mkdtemp())
        cold = ColdConfig(4 * self.host, 4 * self.disk, self.folder)
        pool = pool_of(pages=self.hot, cold=cold)
        places = pool.pages(pool.students.get("joe")).places
        assert isinstance(places, Tiered)
        self.places = places
        self.places._mover.close()
        self.thread = LateThread()
        self.places._mover._thread = self.thread  # type: ignore[assignment]
        return pool

    def teardown(self) -> None:
        self.pool.close()
        shutil.rmtree(self.folder)

    @rule(level=st.integers(0, 1), count=st.integers(1, 3))
    def evict(self, level: int, count: int) -> None:
        """Begin to; nobody waits for it."""
        nobody = np.empty(0, np.int32)
        self.places.bring(nobody, nobody)
        if HOT + level in self.places._recency:
            self.places._demote(HOT + level, count)

    @rule()
    def copy_late(self) -> None:
        if self.thread.waiting:
            self.thread.copy_one()

    def meanwhile(self) -> None:
        self.copy_late()

    @invariant()
    def each_slot_has_one_holder(self) -> None:
        where, used = self.places._where, self.pages.references(np.arange(self.capacity + 1)) > 0
        assert not where.level[~used].any()
        assert (where.level[used] != NOWHERE).all()
        for level, tier in self.places._tiers.items():
            pages = np.flatnonzero(where.level == level)[1 if level == HOT else 0 :]
            assert len(set(where.slot[pages].tolist())) == len(pages)
            assert sorted(where.held(level).tolist()) == pages.tolist()
            assert tier.slots.taken == len(pages) + self.places._mover.claimed(level)
            assert len(pages) <= tier.capacity


class DiskPoolAndModel(TieredPoolAndModel):
    """Without a host tier."""

    hot, host, disk = 5, 0, 9


class HostPoolAndModel(TieredPoolAndModel):
    """Without a disk, and with the least that can be stepped."""

    hot, host, disk = 2, 9, 0


TestTieredPoolAndModel = TieredPoolAndModel.TestCase
TestDiskPoolAndModel = DiskPoolAndModel.TestCase
TestHostPoolAndModel = HostPoolAndModel.TestCase
TestTieredPoolAndModel.settings = settings(max_examples=50, stateful_step_count=40)
TestDiskPoolAndModel.settings = TestHostPoolAndModel.settings = settings(max_examples=25, stateful_step_count=40)
