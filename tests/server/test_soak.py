"""Everything at once, for half an hour, with faults: nothing leaks, no acknowledged step is lost, no answer is wrong.

`PLURES_SOAK_SECONDS` makes it shorter or longer.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plures_client import Client, Items
from plures_client.errors import FailedPrecondition, Unavailable

SECONDS = float(os.environ.get("PLURES_SOAK_SECONDS", "1800"))
BETWEEN_FAULTS = 5.0
MOST_GROWTH = 64 << 20
"""Bytes by which a server may grow in the later two thirds of the time, by the slope of what it has resident."""
MOST_BEHIND = 500
"""Items on the queue."""

# A client that takes all it can get, until it is killed: steps in flight, and a run that is never read to its end.
GREEDY = """
import sys
from plures_client import Client
client = Client(sys.argv[1])
mine, other = client.cohort("greedy"), client.cohort("runner")
runs = iter(other.run("bandit", {"p_0": 0.3, "p_1": 0.6}, steps=1_000_000))
next(runs)
with mine.act_stream(window=64) as stream:
    print("greedy", flush=True)
    while True:
        stream.send(want_log_probs=True)
"""


class Soak:
    """What goes on at the same time, and when it is over."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.over = threading.Event()
        self.resident: list[tuple[float, int]] = []

    def until_over(self, work: Callable[[], None]) -> None:
        try:
            while not self.over.is_set():
                work()
        except BaseException:
            self.over.set()
            raise

    def watch(self) -> None:
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
        self.resident.append((time.monotonic(), int(line.split()[1]) << 10))
        self.over.wait(min(1.0, SECONDS / 60))

    def growth(self) -> float:
        """Bytes, over the later two thirds, by least squares."""
        at, held = np.array(self.resident, np.float64).T
        late = at > at[0] + (at[-1] - at[0]) / 3
        slope, _ = np.polyfit(at[late] - at[0], held[late], 1)
        return float(slope * (at[-1] - at[0]) * 2 / 3)


class Twins:
    """Two cohorts of one seed: one stepped whole, one agent by agent among everybody else's. They live one life."""

    def __init__(self, client: Client) -> None:
        start = partial(client.cohorts.start, student="bandit", count=16, seed=5)
        self.whole, self.apart = start("whole"), start("apart")
        self.chance = np.random.default_rng(0)

    def step(self) -> None:
        reward = self.chance.random(16).astype(np.float32)
        together = self.whole.act(reward=reward).action
        with self.apart.act_stream(window=16) as stream:
            sent = [stream.send([n], reward=reward[n : n + 1]) for n in range(16)]
            alone = [pending.result().action[0] for pending in sent]
        assert alone == together.tolist()


class Logged:
    """Agents whose steps are acknowledged when they are on the disk."""

    def __init__(self, client: Client) -> None:
        self.cohort = client.cohorts.start("logged", student="bandit", count=8, durability="log")
        self.acknowledged = 0

    def step(self) -> None:
        self.cohort.act()
        self.acknowledged += 1


class Queued:
    """Items that are put on a queue, whatever happens to it: each has one result."""

    def __init__(self, client: Client) -> None:
        self.queue = client.queue("soak")
        self.put = 0
        self.enqueue()
        workers = client.cohorts.start("workers", student="bandit", count=64)
        self.queue.attach(workers.name, keep="nothing")

    def enqueue(self) -> None:
        items = Items.of("bandit", np.full((50, 2), 0.5), steps=20, seed=self.put)
        items = replace(items, item=np.arange(self.put, self.put + 50, dtype=np.uint64))
        while self.behind() > MOST_BEHIND:
            time.sleep(0.05)
        # The same submission, as often as it takes.
        while not self._is_put(items):
            pass
        self.put += 50

    def _is_put(self, items: Items) -> bool:
        try:
            self.queue.enqueue(items, submit_id=f"from-{self.put}")
        except Unavailable:
            return False
        return True

    def behind(self) -> int:
        """Items that are not done, as far as one can know; 0 at the start, when there is no queue."""
        try:
            return self.put - self.queue.stats().done if self.put else 0
        except Unavailable:
            return self.put

    def results(self) -> list[int]:
        """As many as there are items, at least."""
        found: list[int] = []
        for batch in self.queue.results():
            found += batch.item.tolist()
            if len(found) >= self.put:
                break
        return found


class Faults:
    """Clients that are killed in the middle of everything, and a Valkey that is."""

    def __init__(self, server: Any, over: threading.Event) -> None:
        self._server, self._over = server, over
        self.killed = {"client": 0, "valkey": 0}

    def next(self) -> None:
        command = [sys.executable, "-c", GREEDY, self._server.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as greedy:
            assert greedy.stdout is not None
            assert greedy.stdout.readline() == "greedy\n"
            self._over.wait(BETWEEN_FAULTS)
            greedy.kill()
        self.killed["client"] += 1
        os.kill(self._valkey(), signal.SIGKILL)
        self.killed["valkey"] += 1
        self._over.wait(BETWEEN_FAULTS)

    def _valkey(self) -> int:
        tasks = Path(f"/proc/{self._server.process.pid}/task").iterdir()
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        names = {child: Path(f"/proc/{child}/comm").read_text() for child in children}
        [found] = [child for child, name in names.items() if "valkey" in name or "redis" in name]
        return found


@pytest.mark.soak
def test_whatever_happens_for_a_long_time_nothing_is_lost_or_wrong_or_leaks(launch_server: Callable[..., Any]) -> None:
    server = launch_server("--memory-gb", "0.1")
    soak = Soak(server)
    with Client(server.address) as client, ThreadPoolExecutor(5) as threads:
        for name, count in (("greedy", 2000), ("runner", 200)):
            client.cohorts.start(name, student="bandit", count=count)
        twins, logged, queued, faults = Twins(client), Logged(client), Queued(client), Faults(server, soak.over)
        works = (twins.step, logged.step, queued.enqueue, faults.next, soak.watch)
        going = [threads.submit(soak.until_over, work) for work in works]
        soak.over.wait(SECONDS)
        soak.over.set()
        for one in going:
            one.result()
        assert min(faults.killed.values()) > 0
        assert logged.acknowledged == logged.cohort.describe().min_step == logged.cohort.describe().max_step
        # Whoever was killed has left its agents free.
        wait_until(lambda: is_free(client, "greedy") and is_free(client, "runner"))
        wait_until(lambda: queued.behind() == 0)
        found = queued.results()
        assert sorted(found) == list(range(queued.put)), "each item has one result"
        assert client.queue("soak").stats().dead == 0
    assert soak.growth() < MOST_GROWTH
    log = (server.folder / "server.log").read_text()
    assert "Traceback" not in log
    assert server.stop() == 0


def is_free(client: Client, cohort: str) -> bool:
    try:
        client.cohort(cohort).act()
    except FailedPrecondition:
        return False
    return True


def wait_until(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come to be"
        time.sleep(0.05)
