"""Strategies against a real server process, with a network that breaks and people who interrupt."""

import asyncio
import math
import signal
import threading
from contextlib import suppress

import numpy as np
import pytest
from plures_client import AsyncClient, Client, Items
from plures_client.coordinators import Halving, Map, Schedule, persistence, progress_bar, workshop
from plures_client.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from plures_client.problems import BestArm

CHANCES = np.linspace(0, 1, 21)


class Sweep:
    """How often copies win on bandits whose two arms are equally good: the answer is known."""

    def __init__(self, items=1050, steps=20):
        self.chance = np.resize(CHANCES, items)
        self.steps = steps

    def split(self):
        return Items.of("bandit", np.stack([self.chance, self.chance], axis=1), steps=self.steps, seed=5)

    def combine(self, results):
        self.results = results
        return (results.column("rewards_0") + results.column("rewards_1")) / self.steps


class Proxy:
    """Passes bytes on to a server, and breaks each connection after as many as `limits` says came back on it."""

    def __init__(self, address, limits):
        self.target, self.limits, self.broken = address.split(":"), iter(limits), 0
        self.connections = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for connection in self.connections:
            connection.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def serve(self, reader, writer):
        self.connections.add(asyncio.current_task())
        back, forth = await asyncio.open_connection(*self.target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.pump(reader, forth, math.inf))
                group.create_task(self.pump(back, writer, next(self.limits, math.inf)))
        except* ConnectionError:
            self.broken += 1
        finally:
            for each in (writer, forth):
                each.transport.abort()
                with suppress(ConnectionError):
                    await each.wait_closed()

    async def pump(self, source, sink, left):
        while data := await source.read(4096):
            sink.write(data)
            await sink.drain()
            left -= len(data)
            if left <= 0:
                raise ConnectionAbortedError


@pytest.fixture
def opened(monkeypatch):
    """The names of all queues that workshops open."""
    names = []
    original = workshop.Workshop.__init__

    def remember(self, *args, **options):
        original(self, *args, **options)
        names.append(self._queue.name)

    monkeypatch.setattr(workshop.Workshop, "__init__", remember)
    return names


def is_gone(client, queue):
    try:
        client.queue(queue).stats()
    except NotFound:
        return True
    return False


def test_map_gives_each_item_exactly_one_result_in_its_place(client, cohort, opened):
    problem = Sweep()
    won = cohort.solve(Map(), problem)

    assert not np.isnan(problem.results.summary).any()
    np.testing.assert_array_equal(problem.results.column("pulls_0") + problem.results.column("pulls_1"), 20)
    assert len(set(problem.results.ordinal.tolist())) > 1
    by_chance = won.reshape(-1, len(CHANCES))
    np.testing.assert_allclose(by_chance.mean(axis=0), CHANCES, atol=5 * 0.5 / np.sqrt(20 * len(by_chance)))
    assert [is_gone(client, queue) for queue in opened] == [True]


def test_only_agents_that_are_named_work(cohort):
    problem = Sweep(items=300, steps=1)
    cohort.solve(Map(ordinals=range(10, 20)), problem)

    assert set(problem.results.ordinal.tolist()) <= set(range(10, 20))


def test_agents_keep_what_they_learn_only_when_told_to(client, cohort):
    cohort.solve(Map(keep="nothing"), Sweep(items=200, steps=3))
    assert cohort.describe().max_step == 0

    cohort.solve(Map(keep="learning"), Sweep(items=200, steps=3))
    assert cohort.describe().max_step > 0


def test_halving_finds_a_good_arm_within_its_budget(client, cohort, opened):
    rates = np.random.default_rng(1).random(16)
    answer = cohort.solve(Halving(), BestArm(rates, pulls=160, seed=2))

    assert (answer.entrants, answer.rounds, answer.copies) == (16, 4, 100)
    assert answer.pulls == answer.budget == 16_000
    assert answer.quality > 0.9
    assert answer.rate == rates[answer.arm]
    assert answer.seconds > 0
    assert [is_gone(client, queue) for queue in opened] == [True]


def test_one_copy_alone_halves_a_drawn_bracket(cohort):
    answer = cohort.solve(Halving(ordinals=0), BestArm(np.linspace(0, 1, 200), pulls=200, seed=2))

    assert answer.copies == 1
    assert answer.drawn
    assert answer.entrants < 200
    assert answer.pulls == 200


def test_another_share_makes_fewer_rounds(cohort):
    answer = cohort.solve(Halving(Schedule(share=0.25)), BestArm(np.linspace(0, 1, 16), pulls=64, seed=2))

    assert answer.rounds == 2


def test_reports_count_up_to_all_items_of_each_round(cohort):
    steps = []
    cohort.solve(Halving(report=steps.append), BestArm(np.linspace(0, 1, 4), pulls=64))

    labels = [f"round {number} of 2" for number in (1, 2)]
    assert list(dict.fromkeys(step.label for step in steps)) == labels
    for label in labels:
        done = [step.done for step in steps if step.label == label]
        assert done == sorted(done)
        assert done[-1] == next(step.items for step in steps if step.label == label)


def test_a_progress_bar_can_be_drawn(cohort, capsys):
    with progress_bar() as report:
        cohort.solve(Map(report=report), Sweep(items=21, steps=1))

    assert "21/21" in capsys.readouterr().out


async def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, name):
    problem = Sweep()
    async with (
        Proxy(server.address, limits=[12_000, 12_000]) as proxy,
        AsyncClient(proxy.address) as client,
    ):
        cohort = await client.cohorts.start(name, student="bandit", count=100, seed=7)
        await cohort.solve(Map(), problem)
        await cohort.retire()

    assert proxy.broken >= 2
    assert not np.isnan(problem.results.summary).any()
    np.testing.assert_array_equal(problem.results.column("pulls_0") + problem.results.column("pulls_1"), 20)


def test_ctrl_c_leaves_nothing_on_the_server(client, cohort, opened):
    seen = threading.Event()

    def interrupt():
        assert seen.wait(30)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    presser = threading.Thread(target=interrupt)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        cohort.solve(Map(report=lambda _: seen.set()), Sweep(items=20_000, steps=200))
    presser.join()

    assert [is_gone(client, queue) for queue in opened] == [True]
    # Agents that still held items would be busy, and could not be retired.
    wait_until(lambda: cohort.retire() == 100)


def wait_until(ready):
    for _ in range(1000):
        try:
            assert ready()
            return
        except FailedPrecondition:
            continue
    raise AssertionError("never became so")


async def test_work_that_nobody_does_any_more_is_not_waited_for(server, name, opened, monkeypatch):
    monkeypatch.setattr(workshop, "WATCH_S", 0.05)
    begun = asyncio.Event()
    async with AsyncClient(server.address) as client:
        cohort = await client.cohorts.start(name, student="bandit", count=100)
        strategy = Map(report=lambda _: begun.set())
        solving = asyncio.ensure_future(cohort.solve(strategy, Sweep(items=20_000, steps=100)))
        await asyncio.wait_for(begun.wait(), 30)
        await client.queue(opened[0]).detach(name)

        with pytest.raises(FailedPrecondition, match="was detached before its work was done"):
            await solving
        with pytest.raises(NotFound):
            await client.queue(opened[0]).stats()
        await cohort.retire()


def test_a_server_that_dies_is_not_waited_for_long(launch_server, monkeypatch):
    monkeypatch.setattr(persistence, "PATIENCE", 2)
    server = launch_server()
    with Client(server.address) as client:
        cohort = client.cohorts.start("joe", student="bandit", count=100)
        with pytest.raises(Unavailable):
            cohort.solve(Map(report=lambda _: server.process and server.kill()), Sweep(items=20_000, steps=100))


def test_what_cannot_be_split_never_reaches_the_server(cohort, opened):
    with pytest.raises(InvalidArgument, match="too few"):
        cohort.solve(Halving(), BestArm([0.1, 0.9], pulls=0))
    assert opened == []


class Chess(Sweep):
    def split(self):
        return Items.of("chess", np.zeros((1, 2)), steps=1, seed=1)


def test_a_task_that_the_server_does_not_know_is_told_before_anything_is_queued(client, cohort, opened):
    with pytest.raises(NotFound, match="no task chess"):
        cohort.solve(Map(), Chess())
    assert [is_gone(client, queue) for queue in opened] == [True]
