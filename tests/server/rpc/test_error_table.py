"""Every error of docs/errors.md, brought about for real: its sentence is the one on the page."""

import errno
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plures_kernels.errors import PluresError
from plures_server import errors
from plures_server.access import caller
from plures_server.access.door import Door
from plures_server.access.quotas import Quota, Quotas
from plures_server.access.tokens import new_token, write_tokens
from plures_server.durable.checkpoints import FAMILY, read
from plures_server.durable.committer import opening_failure
from plures_server.durable.journal import Journal
from plures_server.durable.journals import Journals
from plures_server.durable.lock import held
from plures_server.durable.log_files import LogFiles, Spot
from plures_server.durable.policy import Durability
from plures_server.durable.recovery import recover
from plures_server.engine import Engine
from plures_server.merge import Members, MergeRequest, merge
from plures_server.names import parse
from plures_server.pages import DiskTier
from plures_server.queue.chunks import Chunk
from plures_server.queue.connection import ConnectionConfig
from plures_server.queue.store import QueueConfig, QueueStore
from plures_server.restoring import student_for
from plures_server.rpc.error_table import ROWS, page
from plures_server.rpc.errors import CODES
from plures_server.rpc.students import _check_is_operator
from plures_server.runs import RunRequest, begin, put_back
from plures_server.snapshot_reading import read_manifest
from plures_server.snapshots import Snapshots
from plures_server.speech import SayRequest
from plures_server.tasks import Watched, get_task
from plures_students.checkpoint import load_checkpoint
from plures_students.errors import CheckpointError

from ..conftest import MakeEngine
from ..helpers import CPU, small_student, start

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class World:
    """What there is to do wrong with: the cohort `joe` of three agents, a folder, queues."""

    engine: Engine
    make_engine: MakeEngine
    folder: Path
    store: QueueStore
    valkey_url: str
    queue: str

    @property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.engine, self.folder / "snapshots")

    async def on_pool(self, work: Callable[[Any], Any]) -> Any:
        return await self.engine.call(work)


@pytest.fixture
async def world(make_engine: MakeEngine, tmp_path: Path, store: QueueStore, valkey_url: str, queue: str) -> World:
    engine = make_engine()
    await start(engine, "joe", 3)
    return World(engine, make_engine, tmp_path, store, valkey_url, queue)


async def busy(world: World) -> None:
    request = RunRequest("joe", None, "bandit", torch.tensor([[0.5, 0.5]]), 1000, 0)
    stepper = world.engine.steppers["joe"]
    begun = await world.engine.borrow(lambda pool: begin(pool, stepper, request), put_back)
    try:
        await world.on_pool(lambda pool: pool.retire("joe", None))
    finally:
        await world.engine.give_back(lambda pool: put_back(pool, begun))


async def restored_apart(world: World) -> None:
    snapshots = world.snapshots
    await snapshots.write("joe", "monday")
    for name in ("one", "two"):
        await snapshots.restore("monday", name)
    both = MergeRequest((Members("one", None, None), Members("two", None, None)), "new", 1, 0, False, None)
    await world.engine.drive(merge(world.engine.pool, both))


async def damaged_snapshot(world: World) -> None:
    await world.snapshots.write("joe", "monday")
    (world.folder / "snapshots" / "monday" / "manifest.json").write_text("{")
    await world.snapshots.restore("monday", "again")


async def of_another_student(world: World) -> None:
    await world.snapshots.write("joe", "monday")
    other = world.make_engine(small_student(size=8))
    student_for(read_manifest(world.folder / "snapshots" / "monday"), other.students)


async def no_room_on_disk(world: World) -> None:
    snapshots = world.snapshots
    (world.folder / "snapshots").rmdir()
    (world.folder / "snapshots").write_text("in the way")
    await snapshots.write("joe", "monday")


async def a_task_that_fails(world: World) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(get_task("bandit"), name)

        def begin(self, *_: Any) -> Any:
            raise ZeroDivisionError("division by zero")

    seeds, steps = torch.zeros(1, dtype=torch.int64), np.ones(1, np.int64)
    Watched("broken", Broken(), torch.zeros(1, 2), seeds, steps)


async def full_queue(world: World) -> None:
    async with QueueStore(world.valkey_url, QueueConfig(max_items=1)) as small:
        await small.enqueue(world.queue, "one", [Chunk(b"xy", 2)])


async def no_store(world: World) -> None:
    url = f"unix://{world.folder}/nowhere.sock"
    async with QueueStore(url, connection=ConnectionConfig(patience_s=0.0)) as nowhere:
        await nowhere.stats("work")


async def unknown_submission(world: World) -> None:
    await world.store.enqueue(world.queue, "one", [Chunk(b"x", 1)])
    await world.store.cancel(world.queue, "two")


async def stopped(world: World) -> None:
    engine = world.make_engine()
    engine.stop()
    try:
        await engine.call(lambda pool: None)
    finally:
        engine.stop = lambda: None  # type: ignore[method-assign]


async def cannot_recover(world: World) -> None:
    folder = world.folder / "durable" / "joe.1" / "checkpoint-00000001"
    folder.mkdir(parents=True)
    (folder / FAMILY).write_bytes(b"damaged")
    other = Engine(
        world.engine._config, world.engine.pool.config, world.engine.students, CPU, Journals(world.folder / "durable")
    )
    recover(other, ())


async def damaged_log(world: World) -> None:
    folder = world.folder / "checkpoint-00000001"
    folder.mkdir()
    (folder / FAMILY).write_bytes(b"damaged")
    read(world.folder, 1)


async def fenced(world: World) -> None:
    folder = world.folder / "joe.1"
    journal = Journal(folder, Durability(), LogFiles(folder, Spot(1, 1), 1 << 20), fenced="the disk failed")
    journal.check_open()


async def full_log(world: World) -> None:
    raise opening_failure(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


async def too_many_calls(world: World) -> None:
    door = Door(quotas=Quotas(Quota(streams=1)))
    with door.call("acme"), door.call("acme"):
        pass


async def too_often(world: World) -> None:
    door = Door(quotas=Quotas(Quota(requests_per_second=1.0)))
    for _ in range(2):
        with door.call("acme"):
            pass


async def without_token(world: World) -> None:
    file = world.folder / "tokens"
    write_tokens(file, {})
    Door(file).tenant("Bearer " + new_token("acme")[0])


async def not_the_operator(world: World) -> None:
    before = caller.tenant.set("acme")
    try:
        _check_is_operator()
    finally:
        caller.tenant.reset(before)


async def agents_that_only_act(world: World) -> None:
    request = SayRequest("joe", None, "ex uno ", (), max_tokens=4)
    await world.engine.call(lambda pool: world.engine.steppers[pool.get("joe").student.name].say(pool, request))


async def twice_the_folder(world: World) -> None:
    with held(world.folder), held(world.folder):
        pass


def simply(work: Callable[[World], Any]) -> Callable[[World], Awaitable[Any]]:
    async def produce(world: World) -> Any:
        return work(world)

    return produce


PRODUCERS: dict[type[PluresError], Callable[[World], Awaitable[Any]]] = {
    errors.InvalidArgument: simply(lambda world: parse("joe", "cohorts")),
    errors.UnknownStudent: simply(lambda world: world.engine.students.get("nobody")),
    errors.UnknownCohort: lambda world: world.on_pool(lambda pool: pool.get("nobody")),
    errors.UnknownAgent: lambda world: world.on_pool(lambda pool: pool.retire("joe", np.array([7]))),
    errors.UnknownTask: simply(lambda world: get_task("chess")),
    errors.UnknownSnapshot: simply(lambda world: world.snapshots.delete("nothing")),
    errors.UnknownQueue: lambda world: world.store.stats("nothing"),
    errors.UnknownSubmission: unknown_submission,
    errors.AlreadyExists: lambda world: start(world.engine, "joe", 1),
    errors.AgentsBusy: busy,
    errors.StorageFailed: no_room_on_disk,
    CheckpointError: simply(lambda world: load_checkpoint(world.folder, CPU)),
    errors.StudentInUse: lambda world: world.on_pool(lambda pool: world.engine.forget("joe")),
    errors.StudentMismatch: of_another_student,
    errors.TierUnavailable: simply(lambda world: DiskTier(Path("/proc/nowhere"), 4, 4)),
    errors.TaskFailed: a_task_that_fails,
    errors.NoCommonAncestor: restored_apart,
    errors.PoolFull: lambda world: start(world.engine, "many", 1 << 21),
    errors.EngineOverloaded: lambda world: world.make_engine(max_waiting=0).call(lambda pool: None),
    errors.QueueFull: full_queue,
    errors.LogFull: full_log,
    errors.QuotaExceeded: too_many_calls,
    errors.RateExceeded: too_often,
    errors.NotOffered: agents_that_only_act,
    errors.OperatorOnly: not_the_operator,
    errors.Unauthenticated: without_token,
    errors.RecoveryRefused: cannot_recover,
    errors.DamagedLog: damaged_log,
    errors.DamagedSnapshot: damaged_snapshot,
    errors.QueueUnavailable: no_store,
    errors.EngineStopped: stopped,
    errors.LogUnavailable: fenced,
    errors.DataFolderInUse: twice_the_folder,
}


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
async def test_an_error_says_what_the_page_says(kind: type[PluresError], world: World) -> None:
    row = next(row for row in ROWS if row.kind is kind)
    with pytest.raises(PluresError) as raised:
        await PRODUCERS[kind](world)
    assert type(raised.value) is kind
    pattern = re.escape(row.message).replace("…", ".*")
    assert re.fullmatch(pattern, str(raised.value), re.DOTALL), f"{raised.value!s}\nis not\n{row.message}"


def test_every_error_has_a_row() -> None:
    assert [row.kind for row in ROWS] == list(CODES)
    assert PRODUCERS.keys() == CODES.keys()


def test_the_page_is_made_of_the_rows() -> None:
    said = (ROOT / "docs" / "errors.md").read_text()
    assert said == page(), "run `python -m plures_server.rpc.error_table > docs/errors.md`"
