"""The store is killed while cohorts work."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from plures_server import holdings as holdings_module
from plures_server.attachments import Attachments
from plures_server.engine import Engine
from plures_server.errors import QueueUnavailable
from plures_server.queue.connection import ConnectionConfig
from plures_server.queue.embedded import EmbeddedValkey
from plures_server.queue.store import QueueStore

from ..helpers import lives, start, wait_until
from ..test_act import pages_used
from .helpers import attachment, batch, has, is_free, put, results


@asynccontextmanager
async def private_valkey(folder: Path) -> AsyncIterator[EmbeddedValkey]:
    async with EmbeddedValkey(folder) as valkey:
        keeper = asyncio.create_task(valkey.keep_running())
        try:
            yield valkey
        finally:
            keeper.cancel()
            await asyncio.wait({keeper})


def kill(valkey: EmbeddedValkey) -> None:
    assert valkey._process is not None
    valkey._process.kill()


@pytest.mark.parametrize("keep_learning", [False, True], ids=["nothing", "learning"])
async def test_a_store_that_is_killed_loses_and_doubles_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_learning: bool
) -> None:
    monkeypatch.setattr(holdings_module, "VISIBILITY_MS", 1500)
    count = 1500
    await start(engine, "joe", 20)
    async with private_valkey(tmp_path / "queue") as valkey:
        config = ConnectionConfig(patience_s=0.5)
        async with QueueStore(valkey.url, connection=config) as store, Attachments(engine, store) as attachments:
            await put(store, "q", batch(count, steps=2), chunk_items=5)
            await attachments.attach(attachment("q", keep_learning=keep_learning), None)
            for done in (100, 400, 800):
                await wait_until(patiently(has(store, "q", done=done)))
                kill(valkey)
            await wait_until(patiently(has(store, "q", done=count)), timeout_s=60)
            await attachments.detach("q", "joe")
            assert (await results(store, "q")).keys() == set(range(count))
            stats = await store.stats("q")
    assert (stats.done, stats.ready, stats.leased, stats.dead) == (count, 0, 0, 0)
    steps = (await lives(engine, "joe")).step.sum()
    assert steps <= 2 * count if keep_learning else steps == 0


def patiently(fact: Callable[[], Any]) -> Callable[[], Any]:
    async def perhaps() -> bool:
        try:
            return bool(await fact())
        except QueueUnavailable:
            return False

    return perhaps


async def test_detaching_ends_while_the_store_is_away(engine: Engine, tmp_path: Path) -> None:
    await start(engine, "joe", 5)
    before = await lives(engine, "joe")
    async with EmbeddedValkey(tmp_path / "queue") as valkey:
        config = ConnectionConfig(patience_s=0.2)
        async with QueueStore(valkey.url, connection=config) as store, Attachments(engine, store) as attachments:
            await put(store, "q", batch(5, steps=10**9))
            await attachments.attach(attachment("q", keep_learning=True), None)
            await wait_until(has(store, "q", leased=5))
            kill(valkey)
            await asyncio.wait_for(attachments.detach("q", "joe"), 20)
    assert await is_free(engine)
    assert (await lives(engine, "joe")).same_bits(before)
    assert await pages_used(engine) == 0
