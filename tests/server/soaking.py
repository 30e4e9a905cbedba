"""What goes on at the same time in a soak: steps, items, faults."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from plures_client import Client, Items
from plures_client.errors import ResourceExhausted, Unavailable
from plures_client.records import QueueStats

from .disk import Disk

BETWEEN_FAULTS = 5.0
DISK_IS_FULL_FOR = 3.0
MOST_BEHIND = 500
"""Items that were put and have no result that was read."""

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

    def __init__(self, server: Any, seconds: float) -> None:
        self.server = server
        self._every = min(1.0, seconds / 60)
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
        self.over.wait(self._every)

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

    def __init__(self, client: Client, over: threading.Event) -> None:
        self.cohort = client.cohorts.start("logged", student="bandit", count=8, durability="log")
        self._over = over
        self.acknowledged = self.in_doubt = 0

    def step(self) -> None:
        try:
            self.cohort.act()
        except ResourceExhausted:
            # The disk is full: whether the step outlives the server is open.
            self.in_doubt += 1
        except Unavailable:
            # It was refused, as others will be until a checkpoint could be written.
            self._over.wait(0.05)
        else:
            self.acknowledged += 1

    def check(self) -> None:
        found = self.cohort.describe()
        assert found.min_step == found.max_step
        assert self.acknowledged <= found.min_step <= self.acknowledged + self.in_doubt


class Queued:
    """Items that are put on a queue, whatever happens to it: each has one result."""

    def __init__(self, client: Client) -> None:
        self.queue = client.queue("soak")
        self.put, self.cursor = 0, ""
        self.found: list[int] = []
        self.enqueue()
        workers = client.cohorts.start("workers", student="bandit", count=64)
        self.queue.attach(workers.name, keep="nothing")

    def enqueue(self) -> None:
        items = Items.of("bandit", np.full((50, 2), 0.5), steps=20, seed=self.put)
        items = replace(items, item=np.arange(self.put, self.put + 50, dtype=np.uint64))
        # The same submission, as often as it takes.
        while not self._is_put(items):
            pass
        self.put += 50
        self.read(self.put - MOST_BEHIND)

    def _is_put(self, items: Items) -> bool:
        try:
            self.queue.enqueue(items, submit_id=f"from-{self.put}")
        except Unavailable:
            return False
        return True

    def read(self, until: int) -> None:
        """Take the results as they come until there are so many; what was read is forgotten."""
        while len(self.found) < until:
            with suppress(Unavailable), closing(self.queue.results(self.cursor)) as batches:
                for batch in batches:
                    self.found += batch.item.tolist()
                    self.cursor = batch.cursor
                    if len(self.found) >= until:
                        break
        with suppress(Unavailable):
            self.queue.forget(self.cursor)

    def stats(self) -> QueueStats | None:
        """As far as one can know."""
        with suppress(Unavailable):
            return self.queue.stats()
        return None

    def is_done(self) -> bool:
        return (found := self.stats()) is not None and found.done == self.put

    def check(self) -> None:
        assert sorted(self.found) == list(range(self.put)), "each item has one result"
        assert self.queue.stats().dead == 0


class Faults:
    """Clients that are killed in the middle of everything, a Valkey that is, and a disk that is full for a while."""

    def __init__(self, server: Any, over: threading.Event, disk: Disk | None) -> None:
        self._server, self._over, self._disk = server, over, disk
        self.count = {"client": 0, "valkey": 0} | ({"disk": 0} if disk else {})

    def next(self) -> None:
        command = [sys.executable, "-c", GREEDY, self._server.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as greedy:
            assert greedy.stdout is not None
            assert greedy.stdout.readline() == "greedy\n"
            self._over.wait(BETWEEN_FAULTS)
            greedy.kill()
        self.count["client"] += 1
        os.kill(self._valkey(), signal.SIGKILL)
        self.count["valkey"] += 1
        self._over.wait(BETWEEN_FAULTS)
        if self._disk is not None:
            with self._disk.full():
                self._over.wait(DISK_IS_FULL_FOR)
            self.count["disk"] += 1
            self._over.wait(BETWEEN_FAULTS)

    def _valkey(self) -> int:
        wait_until(lambda: len(self._valkeys()) == 1)
        return self._valkeys()[0]

    def _valkeys(self) -> list[int]:
        """One that runs; none while it is being started again."""
        tasks = Path(f"/proc/{self._server.process.pid}/task").iterdir()
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        names = {child: Path(f"/proc/{child}/comm").read_text() for child in children}
        return [child for child, name in names.items() if "valkey" in name or "redis" in name]


def wait_until(holds: Callable[[], bool], seconds: float = 120.0, told: Callable[[], Any] = lambda: "") -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it does not come to be: {told()}"
        time.sleep(0.05)
