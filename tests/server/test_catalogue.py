"""Students that come and go while a server runs."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from plures_server.catalogue import Catalogue
from plures_server.engine import Engine
from plures_server.errors import AlreadyExists, InvalidArgument, PoolFull, StudentInUse, UnknownStudent
from plures_students.checkpoint import save_checkpoint
from plures_students.errors import CheckpointError

from .conftest import MakeEngine
from .helpers import act, small_student, start, wait_until

Save = Callable[[str, int], None]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Put a student with other weights for every number into a folder of that name."""

    def save_one(name: str, seed: int) -> None:
        save_checkpoint(tmp_path / name, small_student(seed=seed), {})

    return save_one


@pytest.fixture
def catalogue(engine: Engine, tmp_path: Path) -> Catalogue:
    return Catalogue(engine, tmp_path)


async def bytes_capacity(engine: Engine) -> int:
    return await engine.call(lambda pool: pool.usage().bytes_capacity)


async def test_a_student_that_is_loaded_later_serves_beside_those_there_are(
    engine: Engine, catalogue: Catalogue, save: Save
) -> None:
    before = await bytes_capacity(engine)
    await start(engine, "a", 3)
    await act(engine, "a")
    save("jane", 5)
    loaded = await catalogue.load("jane")
    assert [student.name for student in engine.students.all()] == ["jane", "joe"]
    await start(engine, "b", 3, student="jane")
    joe, jane = await act(engine, "a", want_log_probs=True), await act(engine, "b", want_log_probs=True)
    assert not torch.equal(torch.from_numpy(joe.log_probs), torch.from_numpy(jane.log_probs))
    assert await bytes_capacity(engine) <= before, "the memory is divided anew, and does not grow"
    assert (await catalogue.load("jane")) is loaded, "to load twice changes nothing"


async def test_a_new_version_is_taken_by_cohorts_that_are_started_from_then_on(
    engine: Engine, catalogue: Catalogue, save: Save
) -> None:
    old = await start(engine, "a", 1)
    save("joe@2", 7)
    save("joe@10", 8)
    for name in ("joe@10", "joe@2"):
        await catalogue.load(name)
    new, pinned = await start(engine, "b", 1), await start(engine, "c", 1, student="joe@2")
    assert [cohort.student.name for cohort in (old, new, pinned)] == ["joe", "joe@10", "joe@2"]
    assert [cohort.student.version for cohort in (old, new, pinned)] == [1, 10, 2]
    for name in "abc":
        await act(engine, name)


async def test_a_student_is_unloaded_when_no_agent_of_it_is_alive_and_gives_its_memory_back(
    engine: Engine, catalogue: Catalogue, save: Save
) -> None:
    before = await bytes_capacity(engine)
    save("jane", 5)
    await catalogue.load("jane")
    await start(engine, "b", 2, student="jane")
    await act(engine, "b")
    with pytest.raises(StudentInUse, match="cohorts b are alive of student 'jane'; retire them first"):
        await catalogue.unload("jane")
    await engine.call(lambda pool: pool.retire("b", None))
    await catalogue.unload("jane")
    with pytest.raises(UnknownStudent, match="no student 'jane' is loaded; loaded: joe"):
        await start(engine, "c", 1, student="jane")
    assert await bytes_capacity(engine) == before
    save("jane", 6)
    assert (await catalogue.load("jane")).name == "jane", "with other weights, too"


async def test_memory_is_shared_out_right_whoever_goes_and_comes_back_meanwhile(
    engine: Engine, catalogue: Catalogue, save: Save
) -> None:
    before = await bytes_capacity(engine)
    save("jane", 5)
    save("jim", 6)
    await catalogue.load("jane")
    await catalogue.load("jim")
    await catalogue.unload("jane")
    assert await bytes_capacity(engine) <= before, "jim still has what jane lent"
    await catalogue.load("jane")
    await catalogue.unload("jim")
    jane = engine.pool.pages(engine.students.get("jane"))
    assert jane.capacity <= jane.places.capacity, "who came back has lent nothing"
    await catalogue.unload("jane")
    assert await bytes_capacity(engine) == before


async def test_a_student_whose_loading_is_given_up_takes_no_memory(
    engine: Engine, catalogue: Catalogue, save: Save
) -> None:
    before = await bytes_capacity(engine)
    save("jane", 5)
    begun, gate = threading.Event(), threading.Event()
    engine.ask(lambda pool: (begun.set(), gate.wait(20)))
    await asyncio.to_thread(begun.wait, 20)
    loading = asyncio.ensure_future(catalogue.load("jane"))

    async def is_asked() -> bool:
        return engine.waiting > 0

    await wait_until(is_asked)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    gate.set()
    assert await bytes_capacity(engine) == before
    await catalogue.load("jane")
    await catalogue.unload("jane")
    assert await bytes_capacity(engine) == before


async def test_other_weights_under_a_loaded_name_are_refused(engine: Engine, catalogue: Catalogue, save: Save) -> None:
    save("jane", 5)
    await catalogue.load("jane")
    save("jane", 6)
    with pytest.raises(AlreadyExists, match="call the new ones 'jane'@2, or unload it first"):
        await catalogue.load("jane")


@pytest.mark.parametrize("name", ["../joe", "/etc", "joe/..", ".", "joe@1", "joe@", "joe@2/x", "Joe", ""])
async def test_names_that_could_lead_elsewhere_are_refused(catalogue: Catalogue, name: str) -> None:
    for ask in (catalogue.load, catalogue.unload):
        with pytest.raises(InvalidArgument):
            await ask(name)


async def test_a_link_that_leads_elsewhere_is_no_student(
    catalogue: Catalogue, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "jane"
    save_checkpoint(elsewhere, small_student(), {})
    (tmp_path / "jane").symlink_to(elsewhere)
    with pytest.raises(UnknownStudent, match="has no folder 'jane'"):
        await catalogue.load("jane")


async def test_a_damaged_checkpoint_changes_nothing(
    engine: Engine, catalogue: Catalogue, save: Save, tmp_path: Path
) -> None:
    save("jane", 5)
    weights = tmp_path / "jane" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    before = await bytes_capacity(engine)
    with pytest.raises(CheckpointError):
        await catalogue.load("jane")
    assert await bytes_capacity(engine) == before
    assert len(engine.students.all()) == 1


async def test_no_memory_that_was_written_to_is_taken_for_a_newcomer(
    make_engine: MakeEngine, save: Save, tmp_path: Path
) -> None:
    engine = make_engine(pages=4)
    await start(engine, "a", 4)
    await act(engine, "a")
    save("jane", 5)
    with pytest.raises(PoolFull, match="student 'jane' needs 256 bytes a state"):
        await Catalogue(engine, tmp_path).load("jane")
    assert (await act(engine, "a", want_steps=True)).step.tolist() == [2] * 4
