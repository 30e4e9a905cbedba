"""Coordinators whose Valkey comes back empty in the midst of their work."""

import asyncio
import shutil

import numpy as np
import pytest
from plures_client import AsyncClient
from plures_client.coordinators import Asking, Map, MapReduce, workshop
from plures_client.problems import Branches
from plures_server.queue.embedded import EmbeddedValkey

from .test_coordinators import Sweep


class Portions(Sweep):
    """The same, in four portions, of which several are under way at a time."""

    def portions(self):
        items = self.split()
        for rows in np.array_split(np.arange(len(items)), 4):
            yield items.rows(rows)

    def combine(self, results):
        return (results.column("pulls_0") + results.column("pulls_1")).tolist()

    def reduce(self, one, other):
        return one + other


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lost") / "queue"


@pytest.fixture(scope="module")
def valkey(folder):
    with asyncio.Runner() as runner:
        valkey = EmbeddedValkey(folder)
        runner.run(valkey.start())
        yield valkey
        runner.run(valkey.stop())


@pytest.fixture(scope="module")
def address(valkey, launch_server):
    return launch_server("--redis-url", valkey.url).address


@pytest.fixture
async def cohort(address):
    async with AsyncClient(address) as client:
        cohort = await client.cohorts.start("losers", student="bandit", count=100, seed=3)
        yield cohort
        await cohort.retire()


async def lose(valkey, folder):
    """Kill it, and let it begin again with nothing."""
    process = valkey._process
    process.kill()
    await asyncio.to_thread(process.wait)
    shutil.rmtree(folder / "appendonlydir")
    await valkey.start()


async def solved(cohort, valkey, folder, strategy, problem):
    """The answer of work during which the store was lost, and what was reported."""
    told, quarter = [], asyncio.Event()

    def report(step):
        told.append(step)
        if step.done * 4 >= step.items:
            quarter.set()

    solving = asyncio.ensure_future(cohort.solve(strategy(report=report), problem))
    await quarter.wait()
    assert not solving.done()
    await lose(valkey, folder)
    return await solving, told


async def test_what_has_no_result_is_submitted_again_and_nothing_is_counted_twice(cohort, valkey, folder):
    problem = Sweep(items=2_100, steps=40)
    _, told = await solved(cohort, valkey, folder, Map, problem)

    done = [step.done for step in told]
    assert done == sorted(done), "what was there before stays"
    assert done[-1] == 2_100
    assert not np.isnan(problem.results.summary).any()
    np.testing.assert_array_equal(problem.results.column("pulls_0") + problem.results.column("pulls_1"), 40)


async def test_portions_that_were_under_way_together_are_all_there_in_the_end(cohort, valkey, folder):
    pulls, _ = await solved(cohort, valkey, folder, MapReduce, Portions(items=2_100, steps=40))

    assert pulls == [40] * 2_100


async def test_who_asks_asks_again_from_the_roots(cohort, valkey, folder):
    problem = Branches(levels=2, visits=300, steps=40, seed=3)
    leaf, told = await solved(cohort, valkey, folder, Asking, problem)

    assert leaf.is_right
    assert leaf.begun == 300
    assert told[-1].done == told[-1].items == leaf.begun + leaf.asked


async def test_a_queue_that_was_begun_anew_unseen_is_noticed(cohort, valkey, folder, monkeypatch):
    """The next portion begins it before anybody reads from it."""
    monkeypatch.setattr(workshop, "WATCH_S", 0.05)
    async with workshop.Workshop(cohort, keep="nothing", ordinals=None, report=lambda _: None) as shop:
        items = Portions(items=420, steps=40).split()
        first = await shop.submit(items)
        await lose(valkey, folder)
        second = await shop.submit(items)
        results = [await shop.collect("both", tray) for tray in (second, first)]

    assert [len(result) for result in results] == [420, 420]
    assert not np.isnan(np.stack([result.summary for result in results])).any()
