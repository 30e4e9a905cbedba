"""Everything at once, for half an hour, with faults: nothing leaks, no acknowledged step is lost, no answer is wrong.

`PLURES_SOAK_SECONDS` makes it shorter or longer. Only root can give it a disk that may be filled.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from plures_client import Client
from plures_client.errors import FailedPrecondition

from .disk import Disk, small_disk
from .soaking import Faults, Logged, Queued, Soak, Twins, wait_until

SECONDS = float(os.environ.get("PLURES_SOAK_SECONDS", "1800"))
MOST_GROWTH = 64 << 20
"""Bytes by which a server may grow in the later two thirds of the time, by the slope of what it has resident."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk | None]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.mark.soak
def test_whatever_happens_for_a_long_time_nothing_is_lost_or_wrong_or_leaks(
    launch_server: Callable[..., Any], disk: Disk | None
) -> None:
    data = ["--data", str(disk.path / "data")] if disk else []
    server = launch_server("--memory-gb", "0.1", "--checkpoint-mb", "1", *data)
    soak = Soak(server, SECONDS)
    with Client(server.address) as client, ThreadPoolExecutor(5) as threads:
        for name, count in (("greedy", 2000), ("runner", 200)):
            client.cohorts.start(name, student="bandit", count=count)
        twins, logged, queued = Twins(client), Logged(client, soak.over), Queued(client)
        faults = Faults(server, soak.over, disk)
        works = (twins.step, logged.step, queued.enqueue, faults.next, soak.watch)
        going = [threads.submit(soak.until_over, work) for work in works]
        soak.over.wait(SECONDS)
        soak.over.set()
        for one in going:
            one.result()
        assert min(faults.count.values()) > 0
        # Whoever was killed has left its agents free.
        wait_until(lambda: is_free(client, "greedy") and is_free(client, "runner"))
        wait_until(queued.is_done, told=queued.stats)
        queued.read(queued.put)
        queued.check()
        logged.check()
    print(f"{faults.count}, {queued.put:,} items, {logged.acknowledged:,} logged steps (in doubt: {logged.in_doubt})")
    print(f"growth {soak.growth() / 2**20:.1f} MiB, resident at last {soak.resident[-1][1] / 2**20:.0f} MiB")
    assert soak.growth() < MOST_GROWTH
    server.kill()
    server.start()
    with Client(server.address) as client:
        logged.cohort = client.cohort("logged")
        logged.check()
        assert client.queue("soak").stats().done == queued.put
    log = (server.folder / "server.log").read_text()
    assert "Traceback" not in log
    assert server.stop() == 0


def is_free(client: Client, cohort: str) -> bool:
    try:
        client.cohort(cohort).act()
    except FailedPrecondition:
        return False
    return True
