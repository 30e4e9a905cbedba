"""Engines without a network around them; every one that a test makes is stopped."""

from collections.abc import AsyncIterator, Callable

import pytest
from plures_server.engine import Engine, EngineConfig
from plures_server.pool import PoolConfig
from plures_server.students import Students
from plures_students.model import Student

from .helpers import CPU, served, small_student

MakeEngine = Callable[..., Engine]


@pytest.fixture
async def make_engine() -> AsyncIterator[MakeEngine]:
    """Start an engine: with the given models or the small one named `joe`, and room for 100,000 states."""
    engines: list[Engine] = []

    def make(
        *models: Student,
        pages: int = 100_000,
        max_agents: int = 1 << 20,
        tiles: tuple[int, ...] = (4, 16),
        max_waiting: int = 4096,
    ) -> Engine:
        students = [served(model, name) for model, name in zip(models or [small_student()], NAMES, strict=False)]
        memory = pages * sum(student.page_bytes for student in students)
        engine = Engine(EngineConfig(tiles, max_waiting), PoolConfig(max_agents, memory), Students(students), CPU)
        engine.start()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.stop()


NAMES = ("joe", "jane", "jim")


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    return make_engine()
