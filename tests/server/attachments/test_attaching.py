"""Who is attached, and who is not."""

import asyncio

import numpy as np
import pytest
from plures_server import attachments as attachments_module
from plures_server.attachments import Attachments
from plures_server.engine import Engine
from plures_server.errors import AgentsBusy, AlreadyExists, InvalidArgument, UnknownCohort, UnknownQueue
from plures_server.queue.store import QueueStore

from ..conftest import MakeEngine
from ..helpers import small_student, start, wait_until
from ..test_engine import held_up
from .helpers import attachment, batch, has, put, result_messages, waits_for_news


async def test_a_cohort_is_attached_to_a_queue_once(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str
) -> None:
    cohort = await start(engine, "joe", 4)
    outcomes = await asyncio.gather(
        *(attachments.attach(attachment(queue), np.array([n])) for n in range(4)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(AlreadyExists) == 3
    assert cohort.busy.sum() == 1
    await attachments.detach(queue, "joe")
    assert not cohort.busy.any()
    with pytest.raises(UnknownQueue, match="cohort 'joe' is not attached"):
        await attachments.detach(queue, "joe")


async def test_agents_that_cannot_be_had_are_not_attached(engine: Engine, attachments: Attachments, queue: str) -> None:
    cohort = await start(engine, "joe", 4)
    await attachments.attach(attachment(queue), np.array([1]))
    for name, ordinals, error in (
        ("jane", None, UnknownCohort),
        ("joe", np.array([0, 1]), AgentsBusy),
        ("joe", np.array([], np.int64), InvalidArgument),
    ):
        with pytest.raises(error):
            await attachments.attach(attachment(f"{queue}-2", name), ordinals)
    await attachments.attach(attachment(f"{queue}-2"), np.array([0, 2]))
    assert cohort.busy.tolist() == [True, True, True, False]
    await attachments.detach_all(f"{queue}-2")
    assert cohort.busy.tolist() == [False, True, False, False]


async def test_who_could_do_no_item_is_not_attached(make_engine: MakeEngine, store: QueueStore, queue: str) -> None:
    engine = make_engine(small_student(actions=3))
    cohort = await start(engine, "joe", 5)
    async with Attachments(engine, store) as attachments:
        with pytest.raises(InvalidArgument, match="student 'joe' are those of none of the tasks bandit"):
            await attachments.attach(attachment(queue), None)
        assert attachments.attached(queue) == []
    assert not cohort.busy.any()


async def test_who_leaves_while_being_attached_is_not(engine: Engine, attachments: Attachments, queue: str) -> None:
    cohort = await start(engine, "joe", 4)
    with held_up(engine):
        attaching = asyncio.ensure_future(attachments.attach(attachment(queue), None))
        await asyncio.sleep(0)
        attaching.cancel()
        await asyncio.wait({attaching})
    await engine.call(lambda pool: None)
    assert not cohort.busy.any()
    assert attachments.attached(queue) == []


async def test_news_wakes_who_waits(
    engine: Engine, store: QueueStore, attachments: Attachments, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments_module, "IDLE_SECONDS", 1000)
    for name in ("joe", "jane"):
        await start(engine, name, 1)
        await attachments.attach(attachment(queue, name), None)
    await wait_until(waits_for_news(attachments))
    await put(store, queue, batch(40), chunk_items=1)
    attachments.announce(queue)
    await wait_until(has(store, queue, done=40))
    assert {message.cohort for message in await result_messages(store, queue)} == {"cohorts/joe", "cohorts/jane"}
