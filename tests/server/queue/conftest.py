"""Real servers, and a store on an empty one. A test that leaves a key without a time to live fails."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from plures_server.queue.binary import find_server
from plures_server.queue.embedded import EmbeddedConfig, EmbeddedValkey
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .helpers import Clock

REDIS = shutil.which("redis-server")
SERVERS = [find_server(), *([Path(REDIS)] if REDIS else [])]


@pytest.fixture(scope="session", params=SERVERS, ids=lambda server: server.name)
def server_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that all tests share. Each kind of server at hand is asked everything."""
    # What this server loses at its death, no test asks for.
    config = EmbeddedConfig(fsync="everysec")
    valkey = EmbeddedValkey(tmp_path_factory.mktemp("shared") / "queue", config, request.param)
    with asyncio.Runner() as runner:
        runner.run(valkey.start())
        yield valkey.url
        runner.run(valkey.stop())


@pytest.fixture
async def redis(server_url: str) -> AsyncIterator[Redis]:
    """The server itself, empty."""
    async with Redis.from_url(server_url, protocol=2) as redis:
        await redis.flushall()
        yield redis
        await _check_that_every_key_has_an_end(redis)


async def _check_that_every_key_has_an_end(redis: Redis) -> None:
    leaked = [key async for key in redis.scan_iter() if await redis.ttl(key) == -1]
    assert not leaked, f"keys without a time to live: {leaked}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(redis: Redis, server_url: str, clock: Clock) -> AsyncIterator[QueueStore]:
    """A store whose queues take 1,000 items and give a chunk up after 3 attempts."""
    async with QueueStore(server_url, QueueConfig(max_items=1_000, max_attempts=3), clock=clock) as store:
        yield store
