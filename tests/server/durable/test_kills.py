"""A real server is killed at random, again and again, and after each kill its agents are what they would be anyway.

They are compared, bit for bit, with agents that an engine in this process steps and that nobody kills. What was not
answered may have been done or not; that is seen from how many steps the agents have behind them.
"""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from plures.v1 import agent_pb2 as ag
from plures.v1 import task_pb2 as ta
from plures_server.durable.frames import HEADER_BYTES
from plures_server.engine import Engine
from plures_server.pool import Pool
from plures_server.rpc.act_stream import act_request
from plures_server.rpc.tasks import run_request
from plures_server.runs import begin, put_back
from plures_server.students import ServedStudent, load_students
from plures_students.checkpoint import save_checkpoint
from plures_students.model import Student

from ..helpers import CPU, Lives, lives
from ..rpc.helpers import Wire, connect, tensor
from . import forking
from .conftest import House

LOG = ag.Durability(level=ag.DURABILITY_LEVEL_LOG)
AGENTS = 6


class Acts:
    """One cohort on one stream, many requests in flight: they are carried out in the order sent."""

    name = "acts"

    def __init__(self) -> None:
        self.requests: list[ag.ActRequest] = []
        self.answered = self.done = 0

    def work(self, wire: Wire) -> None:
        for response in wire.agents.Act(self._endless()):
            assert not response.HasField("error"), response.error
            self.answered += 1

    async def catch_up(self, reference: Engine, found: Lives) -> None:
        made = int(found.step[0])
        assert self.answered <= made <= len(self.requests)
        for request in self.requests[self.done : made]:
            await reference.act(act_request(request))
        # What was sent, and not done, is sent no more.
        del self.requests[made:]
        self.answered = self.done = made

    def _endless(self) -> Iterator[ag.ActRequest]:
        while True:
            rewards = np.random.default_rng(len(self.requests)).normal(size=AGENTS)
            self.requests.append(ag.ActRequest(cohort=f"cohorts/{self.name}", reward=tensor(rewards)))
            yield self.requests[-1]


class Runs:
    """One cohort that runs and runs; a run under way counts as far as its progress was told."""

    name = "runs"

    def __init__(self) -> None:
        self.runs: list[ta.RunTaskRequest] = []
        self.begun = self.told = self.steps = 0

    def work(self, wire: Wire) -> None:
        while True:
            self.told = 0
            self.runs.append(
                ta.RunTaskRequest(
                    cohort=f"cohorts/{self.name}",
                    task="tasks/bandit",
                    parameters=tensor([[0.3, 0.6]]),
                    steps=random.choice([1, 10, 200]),
                    seed=random.getrandbits(32),
                )
            )
            for response in wire.tasks.RunTask(self.runs[-1]):
                if response.HasField("progress"):
                    self.told = response.progress.tick

    async def catch_up(self, reference: Engine, found: Lives) -> None:
        left = int(found.step[0]) - self.steps
        self.steps = int(found.step[0])
        for request in self.runs[:-1]:
            await reference.call(_made(reference, request, request.steps))
            left -= request.steps
        if self.runs:
            assert self.told <= left <= self.runs[-1].steps
            await reference.call(_made(reference, self.runs[-1], left))
        self.runs.clear()
        self.told = 0


def _made(engine: Engine, request: ta.RunTaskRequest, ticks: int) -> Callable[[Pool], None]:
    def make(pool: Pool) -> None:
        begun = begin(pool, engine.steppers["bandit"], run_request(request))
        for _ in begun.run.go_on_to(ticks):
            pass
        put_back(pool, begun)

    return make


class Forks:
    """A family: a cohort that steps, and forks of it that come and go."""

    name = "root"

    def __init__(self) -> None:
        self.words: list[tuple[str, int]] = []
        self.answered = 0
        self.number = 0

    def work(self, wire: Wire) -> None:
        while True:
            self.number += 1
            for word in ("act", "fork", "retire"):
                if word == "retire" and self.number % 5 == 0:
                    continue
                self.words.append((word, self.number))
                self._say(wire, word, self.number)
                self.answered += 1

    async def catch_up(self, reference: Engine, found: Lives, forks: set[str]) -> None:
        """All that was answered, and the last word when it is seen to have been heard."""
        for place, (word, number) in enumerate(self.words):
            if place >= self.answered and not await self._was_heard(reference, found, forks, word, number):
                continue
            await self._hear(reference, word, number)
        self.words.clear()
        self.answered = 0

    def _say(self, wire: Wire, word: str, number: int) -> None:
        if word == "act":
            list(wire.agents.Act(iter([ag.ActRequest(cohort="cohorts/root")])))
        elif word == "fork":
            wire.agents.Fork(ag.ForkRequest(name="cohorts/root", cohort_id=f"fork-{number}", copies=2, seed=number))
        else:
            wire.agents.Retire(ag.RetireRequest(name=f"cohorts/fork-{number}"))

    async def _was_heard(self, reference: Engine, found: Lives, forks: set[str], word: str, number: int) -> bool:
        if word == "act":
            return int(found.step[0]) > int((await lives(reference, "root")).step[0])
        return (f"fork-{number}" in forks) == (word == "fork")

    async def _hear(self, reference: Engine, word: str, number: int) -> None:
        if word == "act":
            await reference.act(act_request(ag.ActRequest(cohort="cohorts/root")))
        elif word == "fork":
            await reference.call(lambda pool: pool.fork("root", None, 2, f"fork-{number}", number))
        else:
            await reference.call(lambda pool: pool.retire(f"fork-{number}", None))


async def names_of(engine: Engine) -> set[str]:
    return await engine.call(lambda pool: {cohort.name for cohort in pool.all()})


async def check(house: House, folder: Path, student: ServedStudent, reference: Engine, workers: list[Any]) -> None:
    """What was left on the disk against what it should be."""
    found = house.engine(student=student, folder=house.copy(folder))
    acts, runs, forks = workers
    await acts.catch_up(reference, await lives(found, "acts"))
    await runs.catch_up(reference, await lives(found, "runs"))
    await forks.catch_up(reference, await lives(found, "root"), await names_of(found))
    assert await names_of(found) == await names_of(reference)
    for name in await names_of(reference):
        assert (await lives(found, name)).same_bits(await lives(reference, name)), name
    house.stop(found)


def work_until_killed(server: Any, workers: list[Any], seconds: float) -> None:
    """All workers at once, each on a channel of its own, until the server is dead."""

    def work(worker: Any) -> None:
        with suppress(grpc.RpcError), connect(server.address) as wire:
            worker.work(wire)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    server.kill()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def tear(folder: Path) -> None:
    """As if the server had been killed, or the power cut, in the middle of a write."""
    for journal in folder.iterdir():
        if (logs := sorted(journal.glob("log-*"))) and random.random() < 0.5:
            # A header is on the disk before anything is written behind it.
            missing = HEADER_BYTES - logs[-1].stat().st_size
            with logs[-1].open("ab") as log:
                log.write(random.choice([os.urandom, bytes])(random.randrange(missing if missing > 0 else 200)))


class ForkedServers:
    """Server processes on one folder, one after the other."""

    def __init__(self, folder: Path, student: Student, valkey_url: str) -> None:
        self.data = folder / "data"
        save_checkpoint(folder / "students" / "bandit", student, {})
        command = [sys.executable, forking.__file__, str(folder / "students"), "--data", str(self.data)]
        self._log = (folder / "server.log").open("w")
        self._parent = subprocess.Popen(
            [*command, "--port", "0", "--checkpoint-steps", "600", "--redis-url", valkey_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def start(self) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.write("\n")
        self._parent.stdin.flush()
        self._pid = int(self._line())
        found = re.search(r"listens on (\S+)", self._line())
        assert found, Path(self._log.name).read_text()[-2000:]
        self.address = found[1]

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.kill()
        self._parent.kill()
        self._parent.communicate()
        self._log.close()

    def _line(self) -> str:
        assert self._parent.stdout is not None
        return self._parent.stdout.readline()


@pytest.fixture
def server(tmp_path: Path, bandit_student: Student, valkey_url: str) -> Iterator[ForkedServers]:
    server = ForkedServers(tmp_path, bandit_student, valkey_url)
    yield server
    server.close()


async def killed(server: ForkedServers, house: House, kills: int) -> None:
    server.start()
    student = load_students(server.data.parent / "students", CPU).get("bandit")
    reference = house.engine(student=student, folder=house.fresh())
    workers = [Acts(), Runs(), Forks()]
    with connect(server.address) as wire:
        for worker in workers:
            request = ag.StartCohortRequest(cohort_id=worker.name, student="students/bandit", count=AGENTS, seed=1)
            request.durability.CopyFrom(LOG)
            wire.agents.StartCohort(request)
            name = worker.name
            await reference.call(lambda pool, name=name: pool.start(name, "bandit", AGENTS, 1))
    for kill in range(1, kills + 1):
        await asyncio.to_thread(work_until_killed, server, workers, random.uniform(0.02, 0.5))
        tear(server.data / "durable")
        await check(house, server.data / "durable", student, reference, workers)
        print(f"{kill} of {kills} kills", end="\r", flush=True)
        server.start()
    steps = [int((await lives(reference, worker.name)).step[0]) for worker in workers]
    print(f"{kills} kills; steps of an agent that acts, runs, is forked: {steps}")
    assert sum(steps) > kills, "there was something to lose"


async def test_every_acknowledged_step_outlives_a_few_kills(server: ForkedServers, house: House) -> None:
    await killed(server, house, kills=5)


@pytest.mark.soak
async def test_every_acknowledged_step_outlives_two_hundred_kills(server: ForkedServers, house: House) -> None:
    await killed(server, house, kills=200)
