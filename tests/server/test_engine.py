"""The engine's thread: what it does with work that fails, waits, is cancelled or comes too late."""

import asyncio
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from plures_server.engine import Engine
from plures_server.errors import EngineOverloaded, EngineStopped, UnknownCohort
from plures_server.pool import Pool

from .conftest import MakeEngine
from .helpers import act, start, wait_until


class Mishap(Exception):
    """No error of ours."""


def fail(_: object = None) -> None:
    raise Mishap("on purpose")


@contextmanager
def held_up(engine: Engine) -> Iterator[None]:
    """Meanwhile the engine does nothing, so that whatever is sent waits."""
    entered, gate = threading.Event(), threading.Event()

    def wait_at_the_gate() -> None:
        entered.set()
        assert gate.wait(20)

    engine._send(wait_at_the_gate)
    assert entered.wait(20)
    try:
        yield
    finally:
        gate.set()


async def test_what_raises_in_the_work_raises_where_it_is_awaited(engine: Engine) -> None:
    with pytest.raises(Mishap, match="on purpose"):
        await engine.call(fail)
    with pytest.raises(UnknownCohort):
        await engine.call(lambda pool: pool.get("nobody"))
    assert await engine.call(lambda pool: pool.usage().agents) == 0


async def test_a_job_that_fails_fails_alone(engine: Engine) -> None:
    def job(steps: int, error: bool) -> Generator[None, None, int]:
        for _ in range(steps):
            yield
        if error:
            fail()
        return steps

    good, bad = asyncio.gather(engine.drive(job(9, False)), engine.drive(job(0, False))), engine.drive(job(3, True))
    with pytest.raises(Mishap):
        await bad
    assert await good == [9, 0]


async def test_jobs_take_turns(engine: Engine) -> None:
    turns: list[str] = []

    def job(name: str) -> Generator[None, None, None]:
        for _ in range(3):
            turns.append(name)
            yield

    with held_up(engine):
        both = [asyncio.ensure_future(engine.drive(job(name))) for name in "ab"]
        await asyncio.sleep(0)
    await asyncio.gather(*both)
    assert turns == list("ababab")


async def test_a_job_goes_on_when_nobody_waits_for_it_any_more(engine: Engine) -> None:
    ended = threading.Event()

    def job() -> Generator[None, None, None]:
        for _ in range(3):
            yield
        ended.set()

    with held_up(engine):
        waiting = asyncio.ensure_future(engine.drive(job()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await asyncio.to_thread(ended.wait, 20)


async def test_what_was_borrowed_by_a_caller_who_left_is_given_back(engine: Engine) -> None:
    loans: list[str] = []

    def lend(pool: Pool) -> str:
        loans.append("pen")
        return "pen"

    with held_up(engine):
        borrower = asyncio.ensure_future(engine.borrow(lend, lambda pool, loan: loans.remove(loan)))
        await asyncio.sleep(0)
        borrower.cancel()
        with pytest.raises(asyncio.CancelledError):
            await borrower
    assert await engine.call(lambda pool: list(loans)) == []
    assert await engine.borrow(lend, lambda pool, loan: loans.remove(loan)) == "pen"
    assert loans == ["pen"]


async def test_what_could_not_be_borrowed_is_not_given_back(engine: Engine) -> None:
    returned: list[object] = []
    with held_up(engine):
        borrower = asyncio.ensure_future(engine.borrow(fail, lambda pool, loan: returned.append(loan)))
        await asyncio.sleep(0)
        borrower.cancel()
        with pytest.raises(asyncio.CancelledError):
            await borrower
    await engine.call(lambda pool: None)
    assert returned == []


async def test_too_much_waiting_is_refused_and_giving_back_is_not(make_engine: MakeEngine) -> None:
    engine = make_engine(max_waiting=3)
    await start(engine, "joe", 1)
    with held_up(engine):
        sent = [act(engine, "joe") for _ in range(3)]
        with pytest.raises(EngineOverloaded, match="3 requests wait already"):
            act(engine, "joe")
        with pytest.raises(EngineOverloaded):
            await engine.call(lambda pool: None)
        given_back = asyncio.ensure_future(engine.give_back(lambda pool: pool.usage().agents))
        await asyncio.sleep(0)
    assert len([await one for one in sent]) == 3
    assert await given_back == 1
    await act(engine, "joe")


async def test_stopping_refuses_what_waits_and_what_comes(make_engine: MakeEngine) -> None:
    def forever() -> Generator[None, None, None]:
        while True:
            yield

    engine = make_engine()
    await start(engine, "joe", 1)
    driven = asyncio.ensure_future(engine.drive(forever()))
    await asyncio.sleep(0)
    await act(engine, "joe")
    stopping = asyncio.to_thread(engine.stop)
    with held_up(engine):
        stopped = asyncio.ensure_future(stopping)
        # The first of them can still go in the turn that ends the thread, the second only after it.
        in_time, late = act(engine, "joe"), act(engine, "joe")

        async def is_stopping() -> bool:
            return engine._stopping

        await wait_until(is_stopping)
    with pytest.raises(EngineStopped):
        await driven
    with pytest.raises(EngineStopped):
        await late
    await in_time
    await stopped
    for work in (lambda: engine.call(fail), lambda: engine.give_back(fail), lambda: engine.drive(forever())):
        with pytest.raises(EngineStopped, match="shutting down"):
            await work()
    with pytest.raises(EngineStopped):
        act(engine, "joe")


async def test_nothing_sent_while_the_engine_stops_waits_for_ever(make_engine: MakeEngine) -> None:
    """Every call is answered or refused, whenever between the last turn and the end of the thread it comes."""

    async def ask_until_refused(engine: Engine) -> None:
        while True:
            await asyncio.wait_for(engine.call(lambda pool: None), 20)

    for _ in range(20):
        engine = make_engine()
        stopped = asyncio.ensure_future(asyncio.to_thread(engine.stop))
        with pytest.raises(EngineStopped):
            await ask_until_refused(engine)
        await stopped
