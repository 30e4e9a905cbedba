"""Engines without a network around them; every one that a test makes is stopped."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from plures_server.engine import Engine, EngineConfig
from plures_server.pages import ColdConfig
from plures_server.pool import PoolConfig
from plures_server.queue.embedded import EmbeddedConfig, EmbeddedValkey
from plures_server.queue.store import QueueStore
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
        linger_us: int = 500,
        cold: ColdConfig | None = None,
    ) -> Engine:
        students = [served(model, name) for model, name in zip(models or [small_student()], NAMES, strict=False)]
        memory = pages * sum(student.page_bytes for student in students)
        engine = Engine(
            EngineConfig(tiles, max_waiting, linger_us),
            PoolConfig(max_agents, memory, cold or ColdConfig()),
            Students(students),
            CPU,
        )
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


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey that all tests share: use queue names of your own."""
    # What it loses at its death, no test asks for.
    valkey = EmbeddedValkey(tmp_path_factory.mktemp("valkey") / "queue", EmbeddedConfig(fsync="everysec"))
    with asyncio.Runner() as runner:
        runner.run(valkey.start())
        yield valkey.url
        runner.run(valkey.stop())


@pytest.fixture
async def store(valkey_url: str) -> AsyncIterator[QueueStore]:
    async with QueueStore(valkey_url) as store:
        yield store


@pytest.fixture
def queue() -> str:
    """The name of a queue that nobody else uses."""
    return f"q{uuid.uuid4().hex}"
