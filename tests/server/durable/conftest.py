"""Engines whose cohorts outlive them, without a network around them."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from plures_server.durable.journals import Journals
from plures_server.durable.keeper import Keeper
from plures_server.durable.policy import DurableConfig
from plures_server.durable.recovery import recover
from plures_server.engine import Engine, EngineConfig
from plures_server.pool import PoolConfig
from plures_server.students import ServedStudent, Students

from ..helpers import CPU, served, small_student

QUICK = DurableConfig(pause_seconds=0)


class House:
    """A data folder, and the engines that come and go on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[tuple[Engine, Keeper]] = []
        self._copies = count()

    def engine(
        self,
        config: DurableConfig = QUICK,
        student: ServedStudent | None = None,
        folder: Path | None = None,
        set_aside: tuple[str, ...] = (),
    ) -> Engine:
        """An engine with what was recovered from the folder."""
        students = Students([student or served(small_student())])
        journals = Journals(folder or self.folder, config)
        engine = Engine(EngineConfig((4, 16)), PoolConfig(1 << 20, 100_000 * 256), students, CPU, journals)
        recover(engine, set_aside)
        keeper = Keeper(engine)
        engine.start()
        keeper.start()
        self._running.append((engine, keeper))
        return engine

    def after_a_crash(self, **arguments: object) -> Engine:
        """An engine on a copy of what is on the disk at this moment."""
        return self.engine(folder=self.copy(), **arguments)  # type: ignore[arg-type]

    def copy(self, folder: Path | None = None) -> Path:
        """A folder as it is on the disk at this moment; one that a log file vanishes from meanwhile is copied anew."""
        while True:
            try:
                return Path(shutil.copytree(folder or self.folder, self.fresh()))
            except shutil.Error:
                continue

    def fresh(self) -> Path:
        """A folder that is not there yet."""
        return self.folder.with_name(f"folder-{next(self._copies)}")

    def stop(self, engine: Engine) -> None:
        [(found, keeper)] = [pair for pair in self._running if pair[0] is engine]
        self._running.remove((found, keeper))
        keeper.stop()
        engine.stop()

    def close(self) -> None:
        for engine, _ in list(self._running):
            self.stop(engine)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "durable")
    yield house
    house.close()
