"""Cohorts to disk and back: the same agents, or none of them."""

import asyncio
import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plures_server import snapshot_files
from plures_server.access.quotas import Quota, Quotas
from plures_server.engine import Engine
from plures_server.errors import (
    AgentsBusy,
    AlreadyExists,
    DamagedSnapshot,
    InvalidArgument,
    PluresError,
    PoolFull,
    QuotaExceeded,
    StorageFailed,
    StudentMismatch,
    UnknownCohort,
    UnknownSnapshot,
    UnknownStudent,
)
from plures_server.freezing import freeze_idle
from plures_server.manifest import AGENTS, pages_file
from plures_server.names import TENANT_MARK
from plures_server.snapshot_files import Written
from plures_server.snapshots import Snapshots
from safetensors.torch import load, save
from torch import Tensor

from .conftest import MakeEngine
from .helpers import act, files_of, forked, lives, names_in, served, small_student, start, wait_until
from .test_act import pages_used
from .test_engine import held_up
from .test_runs import begun, request

FAIR_REWARD = torch.tensor([1.0, 0, 1, 0.5, 0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


@pytest.fixture
def snapshots(engine: Engine, folder: Path) -> Snapshots:
    return Snapshots(engine, folder)


@pytest.fixture
async def crowd(engine: Engine) -> str:
    """Five agents, not alike: two have stepped more than others, one is newborn, one is retired."""
    cohort = await start(engine, "crowd", 6, seed=2**64 - 3)
    await act(engine, "crowd", [0, 1, 2, 3], reward=FAIR_REWARD[:4])
    await act(engine, "crowd", [0, 1])
    await engine.call(lambda pool: pool.retire("crowd", np.array([3])))
    cohort.reward[2] = 0.25
    return "crowd"


async def test_snapshots_under_way_at_once_share_the_quota_of_their_tenant(
    engine: Engine, snapshots: Snapshots, crowd: str
) -> None:
    frozen = await engine.call(lambda pool: freeze_idle(pool, crowd, None))
    await engine.call(lambda pool: frozen.let_go())
    quotas = Quotas(by_tenant={"acme": Quota(snapshot_bytes=3 * frozen.bytes // 2)})
    await engine.call(lambda pool: pool.shares.enforce(quotas))
    names = [f"acme{TENANT_MARK}{day}" for day in ("monday", "tuesday")]
    found = await asyncio.gather(*(snapshots.write(crowd, name) for name in names), return_exceptions=True)
    assert [type(one) for one in found] == [Written, QuotaExceeded]
    snapshots.delete(names[0])
    assert (await snapshots.write(crowd, names[1])).name == names[1]


async def test_a_restored_cohort_is_the_one_that_was_saved(engine: Engine, snapshots: Snapshots, crowd: str) -> None:
    written = await snapshots.write(crowd, "monday")
    saved = await engine.call(lambda pool: pool.get(crowd))
    restored = await snapshots.restore("monday", "again")
    assert (written.name, written.manifest.alive, written.manifest.count) == ("monday", 5, 6)
    assert (restored.seed, restored.count, restored.parent) == (saved.seed, 6, crowd)
    assert np.array_equal(restored.alive, saved.alive)
    alive = np.flatnonzero(saved.alive).tolist()
    assert (await lives(engine, "again", alive)).same_bits(await lives(engine, crowd, alive))
    for _ in range(3):
        assert np.array_equal((await act(engine, "again")).action, (await act(engine, crowd)).action)
    assert (await lives(engine, "again", alive)).same_bits(await lives(engine, crowd, alive))


async def test_a_snapshot_outlives_its_cohort_and_its_server(
    make_engine: MakeEngine, snapshots: Snapshots, engine: Engine, crowd: str, folder: Path
) -> None:
    await snapshots.write(crowd, "monday")
    before = await lives(engine, crowd, [0, 1, 2, 4, 5])
    other = make_engine()
    for name in ("one", "two"):
        await Snapshots(other, folder).restore("monday", name)
        assert (await lives(other, name, [0, 1, 2, 4, 5])).same_bits(before)


async def test_states_that_agents_share_are_written_and_restored_once(make_engine: MakeEngine, folder: Path) -> None:
    engine = make_engine(pages=10)
    snapshots = Snapshots(engine, folder)
    await start(engine, "parent", 1)
    await act(engine, "parent")
    await forked(engine, "parent", "copies", copies=500)
    await act(engine, "copies", [3])
    written = await snapshots.write("copies", "monday")
    assert written.bytes < 500 * 256 / 3, "a third of what a state each would take"
    restored = await snapshots.restore("monday", "again")
    assert len(set(restored.page.tolist())) == 2
    assert (await lives(engine, "again")).same_bits(await lives(engine, "copies"))
    assert await pages_used(engine) == 4


async def test_newborns_are_saved_and_restored_without_a_state_each(make_engine: MakeEngine, folder: Path) -> None:
    engine = make_engine(pages=3)
    snapshots = Snapshots(engine, folder)
    await start(engine, "newborns", 10_000, seed=4)
    await snapshots.write("newborns", "monday")
    await snapshots.restore("monday", "again")
    assert await pages_used(engine) == 0
    assert (await lives(engine, "again")).same_bits(await lives(engine, "newborns"))


async def test_a_saved_and_forgotten_cohort_leaves_no_page(engine: Engine, snapshots: Snapshots, crowd: str) -> None:
    used = await pages_used(engine)
    await snapshots.write(crowd, "monday")
    assert await pages_used(engine) == used
    await snapshots.restore("monday", "again")
    for cohort in ("again", crowd):
        await engine.call(lambda pool, cohort=cohort: pool.retire(cohort, None))
    assert await pages_used(engine) == 0


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until it is set, nothing of a snapshot is written."""
    gate, write = threading.Event(), snapshot_files.write

    def wait_at_the_gate(*args: Any) -> snapshot_files.Written:
        assert gate.wait(20)
        return write(*args)

    monkeypatch.setattr(snapshot_files, "write", wait_at_the_gate)
    return gate


@pytest.mark.parametrize("meanwhile", ["step", "retire"])
async def test_what_agents_do_while_they_are_saved_is_not_in_the_snapshot(
    engine: Engine, snapshots: Snapshots, crowd: str, gate: threading.Event, meanwhile: str
) -> None:
    alive = [0, 1, 2, 4, 5]
    before = await lives(engine, crowd, alive)
    writing = asyncio.ensure_future(snapshots.write(crowd, "monday"))
    await asyncio.sleep(0)
    if meanwhile == "step":
        for _ in range(3):
            await act(engine, crowd)
        assert not (await lives(engine, crowd, alive)).same_bits(before)
    else:
        await engine.call(lambda pool: pool.retire(crowd, None))
        await start(engine, "usurper", 50)
        await act(engine, "usurper")
    gate.set()
    await writing
    await snapshots.restore("monday", "again")
    assert (await lives(engine, "again", alive)).same_bits(before)


async def test_a_snapshot_whose_caller_left_holds_no_pages(
    engine: Engine, snapshots: Snapshots, crowd: str, gate: threading.Event, folder: Path
) -> None:
    writing = asyncio.ensure_future(snapshots.write(crowd, "monday"))
    await asyncio.sleep(0)
    with held_up(engine):
        early = asyncio.ensure_future(snapshots.write(crowd, "tuesday"))
        await asyncio.sleep(0)
        early.cancel()
        writing.cancel()
        await asyncio.wait({early})
    gate.set()
    await asyncio.wait({writing})
    await engine.call(lambda pool: pool.retire(crowd, None))
    assert await pages_used(engine) == 0
    assert set(names_in(folder)) <= {"monday"}


async def test_of_two_snapshots_of_one_name_one_is_written_whole(
    engine: Engine, snapshots: Snapshots, crowd: str, folder: Path
) -> None:
    for n in range(5):
        outcomes = await asyncio.gather(*(snapshots.write(crowd, f"day-{n}") for _ in range(4)), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyExists"] * 3 + ["Written"]
        await snapshots.restore(f"day-{n}", f"again-{n}")
    assert names_in(folder) == [f"day-{n}" for n in range(5)]


async def test_what_cannot_be_saved_leaves_nothing(
    engine: Engine, snapshots: Snapshots, crowd: str, folder: Path
) -> None:
    await snapshots.write(crowd, "monday")
    before = files_of(folder / "monday")
    wrong: list[tuple[str, str, type[PluresError]]] = [
        (crowd, "monday", AlreadyExists),
        (crowd, "../monday", InvalidArgument),
        (crowd, "", InvalidArgument),
        ("nobody", "tuesday", UnknownCohort),
    ]
    for cohort, name, error in wrong:
        with pytest.raises(error):
            await snapshots.write(cohort, name)
    await begun(engine, request(crowd, ordinals=np.array([0])))
    with pytest.raises(AgentsBusy):
        await snapshots.write(crowd, "tuesday")
    assert files_of(folder / "monday") == before
    assert names_in(folder) == ["monday"]


async def test_a_disk_that_fails_leaves_nothing(
    engine: Engine, snapshots: Snapshots, crowd: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    used = await pages_used(engine)
    monkeypatch.setattr(snapshot_files.os, "fsync", full)
    with pytest.raises(StorageFailed, match="cannot be written: No space left on device; free some room"):
        await snapshots.write(crowd, "monday")
    assert names_in(folder) == []
    await act(engine, crowd)
    assert await pages_used(engine) == used + 2, "two newborns have stepped"


async def test_what_cannot_be_restored_is_refused_and_changes_nothing(
    make_engine: MakeEngine, engine: Engine, snapshots: Snapshots, crowd: str, folder: Path
) -> None:
    await snapshots.write(crowd, "monday")
    before = await engine.call(lambda pool: pool.usage())
    wrong: list[tuple[str, str, type[PluresError]]] = [
        ("tuesday", "again", UnknownSnapshot),
        ("../snapshots/monday", "again", InvalidArgument),
        ("monday", crowd, AlreadyExists),
        ("monday", "No Name", InvalidArgument),
    ]
    for name, cohort, error in wrong:
        with pytest.raises(error):
            await snapshots.restore(name, cohort)
    assert await engine.call(lambda pool: pool.usage()) == before
    small = make_engine(pages=2)
    with pytest.raises(PoolFull):
        await Snapshots(small, folder).restore("monday", "again")
    few = make_engine(max_agents=4)
    with pytest.raises(PoolFull):
        await Snapshots(few, folder).restore("monday", "again")
    for refused in (small, few):
        assert await pages_used(refused) == 0


async def test_agents_of_another_student_are_refused(
    make_engine: MakeEngine, snapshots: Snapshots, crowd: str, folder: Path
) -> None:
    await snapshots.write(crowd, "monday")
    retrained = make_engine()
    student = retrained.students.get("joe")
    retrained.students._by_name["joe"] = replace(student, digest="f" * 64)
    with pytest.raises(StudentMismatch, match="000000000000…, but loaded is ffffffffffff…"):
        await Snapshots(retrained, folder).restore("monday", "again")
    with pytest.raises(StudentMismatch):
        await Snapshots(make_engine(small_student(size=8)), folder).restore("monday", "again")
    stranger = make_engine()
    stranger.students._by_name = {"jim": served(small_student(), "jim")}
    with pytest.raises(UnknownStudent, match="no student 'joe' is loaded; loaded: jim"):
        await Snapshots(stranger, folder).restore("monday", "again")


async def test_a_restore_whose_caller_left_holds_no_pages(engine: Engine, snapshots: Snapshots, crowd: str) -> None:
    await snapshots.write(crowd, "monday")
    used = await pages_used(engine)
    for turns in range(30):
        restoring = asyncio.ensure_future(snapshots.restore("monday", f"again-{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        restoring.cancel()
        await asyncio.wait({restoring})
    names = await engine.call(lambda pool: [cohort.name for cohort in pool.all() if cohort.name != crowd])
    for name in names:
        await engine.call(lambda pool, name=name: pool.retire(name, None))

    async def all_is_back() -> bool:
        return await pages_used(engine) == used

    await wait_until(all_is_back)


Spoil = Callable[[Path], None]


def entry(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    form = json.loads((path / "manifest.json").read_text())
    change(form)
    (path / "manifest.json").write_text(json.dumps(form))


def forge(name: str, change: Callable[[dict[str, Tensor]], None]) -> Spoil:
    """A file with other content, and its right checksum in the manifest."""

    def spoil(path: Path) -> None:
        tensors = load((path / name).read_bytes())
        change(tensors)
        data = save(tensors)
        (path / name).write_bytes(data)
        rewrite(path, lambda form: form["files"].update({name: entry(data)}))

    return spoil


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def add_page_file(path: Path) -> None:
    data = save({"pages": torch.zeros(1, 64)})
    (path / pages_file(1)).write_bytes(data)
    rewrite(path, lambda form: form["files"].update({pages_file(1): entry(data)}))


def set_first(field: str, value: float) -> Spoil:
    def change(agents: dict[str, Tensor]) -> None:
        agents[field][0] = value

    return forge(AGENTS, change)


def cast_steps(agents: dict[str, Tensor]) -> None:
    agents["step"] = agents["step"].int()


def retire_all(agents: dict[str, Tensor]) -> None:
    agents["alive"][:] = False


def not_safetensors(name: str, data: bytes) -> Spoil:
    def spoil(path: Path) -> None:
        (path / name).write_bytes(data)
        rewrite(path, lambda form: form["files"].update({name: entry(data)}))

    return spoil


def grow_pages(path: Path) -> None:
    os.truncate(path / PAGES, 2**40)
    rewrite(path, lambda form: form["files"][PAGES].update(bytes=2**40))


PAGES = pages_file(0)
DAMAGES: dict[str, tuple[Spoil, str]] = {
    "agents altered": (lambda path: flip(path / AGENTS), "agents.safetensors was altered or cut short"),
    "pages altered": (lambda path: flip(path / PAGES), "pages-00000.safetensors was altered or cut short"),
    "pages cut short": (lambda path: (path / PAGES).write_bytes((path / PAGES).read_bytes()[:-4]), "cut short"),
    "agents missing": (lambda path: (path / AGENTS).unlink(), "agents.safetensors cannot be read: No such file"),
    "pages missing": (lambda path: (path / PAGES).unlink(), "pages-00000.safetensors cannot be read: No such file"),
    "a folder for a file": (lambda path: ((path / PAGES).unlink(), (path / PAGES).mkdir()), "cannot be read"),
    "pages not listed": (lambda path: rewrite(path, lambda form: form["files"].pop(PAGES)), "holds 0 states"),
    "pages too many": (add_page_file, "holds 4 states, and its manifest says 3"),
    "pages miscounted": (lambda path: rewrite(path, lambda form: form.update(pages=4)), "its manifest says 4"),
    "pages beyond memory": (grow_pages, "pages-00000.safetensors of 1,099,511,627,776 bytes is too large"),
    "pages of another size": (
        forge(PAGES, lambda t: t.update(pages=t["pages"][:, :63].contiguous())),
        "no pages of 64 float32",
    ),
    "pages of another dtype": (forge(PAGES, lambda t: t.update(pages=t["pages"].double())), "no pages of 64 float32"),
    "pages of another name": (forge(PAGES, lambda t: t.update(states=t.pop("pages"))), "no pages of 64 float32"),
    "agents miscounted": (lambda path: rewrite(path, lambda form: form.update(count=7)), "has no page torch.int32 [7]"),
    "a field missing": (forge(AGENTS, lambda t: t.pop("step")), "has no step torch.int64 [6]"),
    "a field of another dtype": (forge(AGENTS, cast_steps), "has no step torch.int64 [6]"),
    "no safetensors": (not_safetensors(AGENTS, b"junk"), "agents.safetensors is no safetensors file"),
    "pages no safetensors": (not_safetensors(PAGES, b"junk"), "pages-00000.safetensors is no safetensors file"),
    "a header beyond the end": (not_safetensors(PAGES, b"\xff" * 8 + b"{}"), "holds no pages of 64 float32"),
    "a page beyond": (set_first("page", 4), "page 4 of agent 0 makes no sense"),
    "a page before": (set_first("page", -1), "page -1 of agent 0 makes no sense"),
    "a step below 0": (set_first("step", -5), "step -5 of agent 0 makes no sense"),
    "an action beyond": (set_first("last_action", 2), "last_action 2 of agent 0 makes no sense"),
    "an action before": (set_first("last_action", -2), "last_action -2 of agent 0 makes no sense"),
    "a reward not finite": (set_first("reward", torch.nan), "reward nan of agent 0 makes no sense"),
    "nobody alive": (forge(AGENTS, retire_all), "alive False of agent 0 makes no sense"),
    "a way out": (lambda path: rewrite(path, lambda form: form["files"].update({"../../x": entry(b"")})), "files"),
    "no manifest": (lambda path: (path / "manifest.json").write_bytes(b"{"), "its manifest is not JSON"),
}


@pytest.mark.parametrize("what", DAMAGES)
async def test_a_damaged_snapshot_is_refused_whole(
    engine: Engine, snapshots: Snapshots, crowd: str, folder: Path, what: str
) -> None:
    spoil, said = DAMAGES[what]
    await snapshots.write(crowd, "monday")
    before = await engine.call(lambda pool: pool.usage())
    spoil(folder / "monday")
    with pytest.raises(DamagedSnapshot) as refused:
        await snapshots.restore("monday", "again")
    assert str(refused.value).startswith("snapshot 'monday' is damaged: ")
    assert said in str(refused.value)
    assert str(folder) not in str(refused.value), "where the server keeps its files is not the client's to know"
    assert await engine.call(lambda pool: pool.usage()) == before
    await act(engine, crowd)


async def test_states_are_written_in_several_files_when_they_are_many(
    engine: Engine, snapshots: Snapshots, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_files, "SHARD_BYTES", 7 * 256)
    await start(engine, "joe", 40)
    await act(engine, "joe")
    await snapshots.write("joe", "monday")
    assert len(list((folder / "monday").glob("pages-*"))) == 6
    await snapshots.restore("monday", "again")
    assert (await lives(engine, "again")).same_bits(await lives(engine, "joe"))
