"""Who is detached, at whatever moment, leaves nothing behind."""

import asyncio
from collections.abc import Collection, Generator
from contextlib import ExitStack
from typing import Any

import pytest
from plures_server import attachments as attachments_module
from plures_server.attachments import Attachments
from plures_server.engine import Engine
from plures_server.errors import AgentsBusy
from plures_server.queue.calls import Call
from plures_server.queue.store import QueueStore
from plures_server.runs import CohortRun

from ..helpers import act, lives, start, wait_until
from ..test_act import pages_used
from ..test_engine import held_up
from .helpers import attachment, batch, has, is_free, let_others_go_on, put, results, waits_for_news


@pytest.mark.parametrize("keep_learning", [False, True], ids=["nothing", "learning"])
async def test_detaching_gives_items_back_unharmed(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str, keep_learning: bool
) -> None:
    await start(engine, "joe", 20)
    await act(engine, "joe", [0, 1])
    before = await lives(engine, "joe")
    await put(store, queue, batch(20, steps=10**9), chunk_items=3)
    await attachments.attach(attachment(queue, keep_learning=keep_learning), None)
    await wait_until(has(store, queue, leased=20))
    with pytest.raises(AgentsBusy, match="works a queue"):
        await act(engine, "joe", [7])
    assert attachments.attached(queue) == ["joe"]
    await attachments.detach(queue, "joe")
    stats = await store.stats(queue)
    assert (stats.ready, stats.leased, stats.done, stats.dead) == (20, 0, 0, 0)
    lease = await store.lease(queue, 10, 1000, ["bandit"])
    assert [(chunk.items, chunk.attempt) for chunk in lease.chunks] == [(3, 1)] * 6 + [(2, 1)]
    assert (await lives(engine, "joe")).same_bits(before)
    assert await is_free(engine)
    assert await pages_used(engine) == 2
    assert attachments.attached(queue) == []


async def test_detaching_at_any_moment_leaves_nothing_leased_or_busy(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str
) -> None:
    await start(engine, "joe", 30)
    total = 0
    for moment in range(16):
        await put(store, queue, batch(60, first=total, steps=5), chunk_items=5)
        total += 60
        await attachments.attach(attachment(queue, keep_learning=moment % 2 == 0), None)
        for _ in range(moment):
            await asyncio.sleep(0.001)
        await attachments.detach(queue, "joe")
        stats = await store.stats(queue)
        assert (stats.leased, stats.ready + stats.done, stats.dead) == (0, total, 0)
        assert await is_free(engine)
        stepped = (await lives(engine, "joe")).step > 0
        assert await pages_used(engine) == stepped.sum()
    await attachments.attach(attachment(queue), None)
    await wait_until(has(store, queue, done=total))
    await attachments.detach(queue, "joe")
    assert (await results(store, queue)).keys() == set(range(total))


@pytest.mark.parametrize("keep_learning", [False, True], ids=["nothing", "learning"])
async def test_who_is_detached_as_its_items_end_leaves_no_state_behind(
    engine: Engine,
    store: QueueStore,
    attachments: Attachments,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
    keep_learning: bool,
) -> None:
    await start(engine, "joe", 3)
    await act(engine, "joe", [0])
    before = await lives(engine, "joe")
    drive, ending = engine.drive, asyncio.Event()
    with ExitStack() as stack:

        async def hold_up_the_end(job: Generator[None, None, Any]) -> Any:
            if job.gi_code is CohortRun.finish.__code__:
                stack.enter_context(held_up(engine))
                ending.set()
            return await drive(job)

        monkeypatch.setattr(engine, "drive", hold_up_the_end)
        await put(store, queue, batch(3))
        await attachments.attach(attachment(queue, keep_learning=keep_learning), None)
        await ending.wait()
        detaching = asyncio.create_task(attachments.detach(queue, "joe"))
        await let_others_go_on()
    await detaching
    assert (await lives(engine, "joe")).same_bits(before)
    assert await pages_used(engine) == 1
    assert (await store.stats(queue)).ready == 3


@pytest.mark.parametrize("turns", range(5))
async def test_who_is_detached_while_it_hears_news_leaves(
    engine: Engine, attachments: Attachments, queue: str, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    monkeypatch.setattr(attachments_module, "IDLE_SECONDS", 1000)
    await start(engine, "joe", 1)
    await attachments.attach(attachment(queue), None)
    await wait_until(waits_for_news(attachments))
    attachments.announce(queue)
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.wait_for(attachments.detach(queue, "joe"), 20)
    assert await is_free(engine)


class Clinging(QueueStore):
    """It takes nothing back."""

    async def release(self, queue: str, token: str, ids: Collection[str]) -> None:
        raise RuntimeError("on purpose")


async def test_who_cannot_give_items_back_leaves(engine: Engine, valkey_url: str, queue: str) -> None:
    await start(engine, "joe", 3)
    async with Clinging(valkey_url) as store, Attachments(engine, store) as attachments:
        await put(store, queue, batch(3, steps=10**9))
        await attachments.attach(attachment(queue), None)
        await wait_until(has(store, queue, leased=3))
        await asyncio.wait_for(attachments.detach(queue, "joe"), 20)
    assert await is_free(engine)
    assert await pages_used(engine) == 0


class Stalling(QueueStore):
    """Its leases take long to come."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.leased, self.go_on = asyncio.Event(), asyncio.Event()

    async def _once(self, queue: str, call: Call[Any]) -> Any:
        lease = await super()._once(queue, call)
        self.leased.set()
        await self.go_on.wait()
        return lease


async def test_a_lease_on_its_way_to_who_leaves_goes_back(engine: Engine, valkey_url: str, queue: str) -> None:
    await start(engine, "joe", 5)
    async with Stalling(valkey_url) as store, Attachments(engine, store) as attachments:
        await put(store, queue, batch(5))
        await attachments.attach(attachment(queue), None)
        await store.leased.wait()
        detaching = asyncio.create_task(attachments.detach(queue, "joe"))
        await asyncio.sleep(0)
        store.go_on.set()
        await detaching
        stats = await store.stats(queue)
    assert (stats.ready, stats.leased) == (5, 0)
