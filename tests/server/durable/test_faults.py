"""Disks that are full, broken or slow: what is acknowledged is on the disk, and nobody waits who need not."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from plures_server.durable import log_files
from plures_server.durable.lock import held
from plures_server.durable.policy import Durability, DurableConfig, Level
from plures_server.engine import Engine
from plures_server.errors import DataFolderInUse, InvalidArgument, LogFull, LogUnavailable, PluresError, UnknownCohort

from ..conftest import MakeEngine
from ..helpers import act, forked, names_in, wait_until
from ..helpers import start as start_fleeting
from .conftest import House
from .helpers import LOG, everything, run, same_bits, start, steps


class Disk:
    """Between the log and the real disk: full, broken, or held up."""

    def __init__(self) -> None:
        self.error: int | None = None
        # Flushes that still succeed before the error.
        self.good = 0
        self.flushes = 0
        self.gate = threading.Event()
        self.gate.set()

    def fdatasync(self, descriptor: int) -> None:
        assert self.gate.wait(20)
        self.flushes += 1
        self.good -= 1
        if self.error is not None and self.good < 0:
            raise OSError(self.error, os.strerror(self.error))
        os.fdatasync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()

    class Os:
        fdatasync = staticmethod(disk.fdatasync)

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

    monkeypatch.setattr(log_files, "os", Os())
    yield disk
    disk.gate.set()


async def works_again(engine: Engine, cohort: str) -> None:
    async def is_open() -> bool:
        return await engine.call(lambda pool: pool.get(cohort).journal.fenced is None)

    await wait_until(is_open)


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, LogFull), (errno.EIO, LogUnavailable)])
async def test_what_cannot_be_logged_is_not_acknowledged(
    house: House, disk: Disk, number: int, kind: type[PluresError]
) -> None:
    engine = house.engine()
    await start(engine, "joe", 3)
    await steps(engine, "joe", 2)
    disk.error = number
    with pytest.raises(kind, match=f"the log could not be written \\({os.strerror(number)}\\)"):
        await act(engine, "joe")
    disk.error = None
    await works_again(engine, "joe")
    await steps(engine, "joe", 2)
    assert await same_bits(engine, house.after_a_crash())


async def test_the_log_goes_on_when_the_disk_fails_just_behind_the_beginning_of_a_checkpoint(
    house: House, disk: Disk
) -> None:
    engine = house.engine(DurableConfig(pause_seconds=0, checkpoint_steps=4))
    await start(engine, "joe", 2)
    await steps(engine, "joe", 1)
    disk.gate.clear()
    first = act(engine, "joe")

    async def has_begun() -> bool:
        return await engine.call(lambda pool: pool.get("joe").journal.agent_steps) == 0

    await wait_until(has_begun)
    second = act(engine, "joe")
    await engine.call(lambda pool: None)
    disk.good, disk.error = 1, errno.EIO
    disk.gate.set()
    await first
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(second, 20)
    disk.error = None
    await works_again(engine, "joe")
    await asyncio.wait_for(act(engine, "joe"), 20)
    assert await same_bits(engine, house.after_a_crash())


async def test_a_cohort_that_cannot_be_made_durable_is_not_started(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = house.engine()
    with monkeypatch.context() as patch:
        patch.setattr("plures_server.snapshot_files.write_file", _fails)
        for durability in (LOG, Durability(Level.SNAPSHOT)):
            with pytest.raises(LogFull, match=r"could be written \(No space left on device\), so there is no such"):
                await start(engine, "joe", 2, durability)
            with pytest.raises(UnknownCohort):
                await engine.call(lambda pool: pool.get("joe"))
    assert "Traceback" not in caplog.text, "a full disk is nothing unexpected"
    assert not [path for path in engine.journals.folder.iterdir() if path.name.startswith("joe")]
    await start(engine, "joe", 2)
    assert await same_bits(engine, house.after_a_crash())


def _fails(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_fenced_cohort_takes_nothing(house: House, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = house.engine()
    await start(engine, "joe", 3)
    await start(engine, "jane", 3)
    await start_fleeting(engine, "jim", 3)
    await steps(engine, "joe", 2)
    writing = "plures_server.durable.checkpoints.write"
    with monkeypatch.context() as patch:
        patch.setattr(writing, _fails)
        disk.error = errno.ENOSPC
        with pytest.raises(LogFull):
            await act(engine, "joe")
        disk.error = None
        crashed = house.after_a_crash()
        for refused in (
            act(engine, "joe"),
            forked(engine, "joe", "twin"),
            run(engine, "joe", ticks=1),
            engine.call(lambda pool: pool.retire("joe", None)),
        ):
            with pytest.raises(LogUnavailable, match=r"cohort 'joe' cannot be changed now.*No space left on device"):
                await refused
        await steps(engine, "jane", 2)
        await steps(engine, "jim", 2)
        assert (await everything(crashed))["joe"].step.tolist() in ([2, 2, 2], [3, 3, 3])
    await works_again(engine, "joe")
    await steps(engine, "joe", 2)
    again = await everything(house.after_a_crash())
    now = await everything(engine)
    assert again["joe"].same_bits(now["joe"])
    assert again["jane"].same_bits(now["jane"])


async def test_a_run_whose_ticks_cannot_be_logged_is_ended(house: House, disk: Disk) -> None:
    engine = house.engine()
    await start(engine, "joe", 3)
    disk.error = errno.EIO
    with pytest.raises(LogUnavailable):
        await run(engine, "joe", ticks=10**9)
    disk.error = None
    await works_again(engine, "joe")
    await steps(engine, "joe", 1)
    assert await same_bits(engine, house.after_a_crash())


async def test_who_logs_nothing_does_not_wait_for_the_disk(house: House, disk: Disk) -> None:
    engine = house.engine()
    await start(engine, "joe", 2)
    await start_fleeting(engine, "jim", 2)
    disk.gate.clear()
    logged = [act(engine, "joe") for _ in range(5)]
    await asyncio.wait_for(asyncio.gather(*(act(engine, "jim") for _ in range(50))), 20)
    assert not any(one.done() for one in logged)
    disk.gate.set()
    assert len(await asyncio.gather(*logged)) == 5


async def test_one_flush_serves_all_that_wait(house: House, disk: Disk) -> None:
    engine = house.engine()
    await start(engine, "joe", 100)
    await act(engine, "joe")
    disk.gate.clear()
    logged = [act(engine, "joe", [n % 100]) for n in range(1000)]

    async def all_have_stepped() -> bool:
        return await engine.call(lambda pool: int(pool.get("joe").step.sum())) == 1100

    await wait_until(all_have_stepped)
    before = disk.flushes
    disk.gate.set()
    await asyncio.gather(*logged)
    assert disk.flushes - before <= 3
    assert await same_bits(engine, house.after_a_crash())


async def test_a_server_without_a_data_folder_says_so(make_engine: MakeEngine) -> None:
    engine = make_engine()
    with pytest.raises(InvalidArgument, match="durability log is not to be had"):
        await engine.call(lambda pool: pool.start("joe", "joe", 1, 0, LOG))
    await start_fleeting(engine, "joe", 1)
    with pytest.raises(InvalidArgument, match="durability snapshot is not to be had"):
        await engine.call(lambda pool: pool.fork("joe", np.array([0]), 1, "jane", 0, Durability(Level.SNAPSHOT)))
    assert [cohort.name for cohort in await engine.call(lambda pool: pool.all())] == ["joe"]


def test_a_data_folder_has_one_server(tmp_path: Path) -> None:
    with held(tmp_path / "data"):
        with (
            pytest.raises(DataFolderInUse, match=r"another server works on .*data: stop that"),
            held(tmp_path / "data"),
        ):
            raise AssertionError("two hold it")
        assert names_in(tmp_path / "data") == ["lock"]
    with held(tmp_path / "data"):
        pass
