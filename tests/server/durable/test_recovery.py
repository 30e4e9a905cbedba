"""What is logged comes back, bit for bit, whatever was done: compared with the engine that was never killed."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plures_server.durable import checkpoints
from plures_server.durable.policy import Durability, DurableConfig, Level
from plures_server.engine import Engine
from plures_server.errors import PluresError, UnknownCohort
from plures_server.lanes import Lanes
from plures_server.merge import Members, MergeRequest, merge

from ..attachments.helpers import batch
from ..helpers import act, forked, names_in
from .conftest import House
from .helpers import LOG, everything, journal, run, same_bits, start, steps


async def test_every_step_comes_back(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 9)
    await steps(engine, "joe", 20)
    await steps(engine, "joe", 7, [8, 0, 3])
    again = house.after_a_crash()
    assert await same_bits(engine, again)
    assert (await everything(again))["joe"].step.tolist() == [27, 20, 20, 27, 20, 20, 20, 20, 27]


async def test_life_goes_on_as_if_nothing_had_happened(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 5)
    await steps(engine, "joe", 5)
    again = house.after_a_crash()
    for living in (engine, again):
        await steps(living, "joe", 10)
        await forked(living, "joe", "jane", copies=2)
        await run(living, "jane", ticks=3)
    assert await same_bits(engine, again)


async def test_all_that_a_step_was_told_is_told_again(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 2)
    done = torch.tensor([1, 0], dtype=torch.uint8)
    await act(engine, "joe", action=torch.tensor([1, 0], dtype=torch.int32), done=done, reward=torch.tensor([3.0, 4]))
    await act(engine, "joe", observation=torch.zeros(2, dtype=torch.int32))
    assert await same_bits(engine, house.after_a_crash())


async def test_forks_and_their_ends_come_back(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 4)
    await steps(engine, "joe", 3)
    await engine.call(lambda pool: pool.fork("joe", np.array([3, 1]), 3, "jane", 7))
    await steps(engine, "jane", 2)
    await engine.call(lambda pool: pool.retire("joe", np.array([1, 2])))
    await steps(engine, "joe", 2)
    await forked(engine, "joe", "jim")
    await engine.call(lambda pool: pool.retire("joe", None))
    again = house.after_a_crash()
    assert await same_bits(engine, again)
    assert (await everything(again)).keys() == {"jane", "jim"}
    assert await engine.call(lambda pool: pool.get("jane").parent) == "joe"


async def test_a_merged_cohort_that_is_logged_comes_back_and_goes_on(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 4)
    await steps(engine, "joe", 5)
    await forked(engine, "joe", "jane")
    await steps(engine, "jane", 3)
    members = Members("joe", np.array([0, 2])), Members("jane", None)
    await engine.drive(merge(engine.pool, MergeRequest(members, "wiser", copies=3, seed=9, durability=LOG)))
    born = house.after_a_crash()
    assert (await everything(born)).keys() == {"joe", "jane", "wiser"}
    assert await same_bits(engine, born)
    await steps(engine, "wiser", 6)
    await engine.call(lambda pool: pool.retire("joe", None))
    await engine.drive(merge(engine.pool, MergeRequest((Members("wiser", None),), "fleeting")))
    again = house.after_a_crash()
    assert (await everything(again)).keys() == {"jane", "wiser"}
    await engine.call(lambda pool: pool.retire("fleeting", None))
    assert await same_bits(engine, again)


async def test_a_family_that_has_ended_leaves_nothing(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 2)
    await forked(engine, "joe", "jane")
    for name in ("joe", "jane"):
        await engine.call(lambda pool, name=name: pool.retire(name, None))
    assert names_in(house.folder) == []
    await start(engine, "joe", 3)
    assert (await everything(house.after_a_crash())).keys() == {"joe"}


@pytest.mark.parametrize("until", [None, 1, 2])
async def test_runs_come_back_as_far_as_they_were_reported(
    house: House, until: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plures_server.runs.SLICE_SECONDS", 0)
    engine = house.engine()
    await start(engine, "joe", 30)
    await steps(engine, "joe", 2, [4, 5])
    each = np.sort(np.random.default_rng(0).integers(1, 6, 30))[::-1].copy()
    told = await run(engine, "joe", ticks=each, until=until)
    assert told[-1].tick == (until or each[0])
    await steps(engine, "joe", 2)
    assert await same_bits(engine, house.after_a_crash())


async def test_a_run_that_is_killed_ends_where_it_was_last_reported(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is ended for all servers to come."""
    monkeypatch.setattr("plures_server.runs.SLICE_SECONDS", 0)
    engine = house.engine()
    await start(engine, "joe", 3)
    crashed: list[Path] = []
    await run(engine, "joe", ticks=1_000_000, until=4, at=lambda tick: crashed.append(house.copy()))
    assert len(crashed) == 4
    for tick, folder in enumerate(crashed, start=1):
        again = house.engine(folder=folder)
        assert (await everything(again))["joe"].step.tolist() == [tick] * 3
        await run(again, "joe", ticks=2)
        assert await same_bits(again, house.engine(folder=house.copy(folder)))


async def test_what_is_not_durable_is_gone(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 2)
    await engine.call(lambda pool: pool.fork("joe", None, 1, "jane", 0, Durability()))
    await start(engine, "jim", 2, Durability())
    assert (await everything(house.after_a_crash())).keys() == {"joe"}


async def test_a_log_may_begin_with_a_fork_of_what_is_not_durable(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 3, Durability())
    await steps(engine, "joe", 4)
    await engine.call(lambda pool: pool.fork("joe", None, 2, "jane", 3, LOG))
    await steps(engine, "jane", 4)
    again = house.after_a_crash()
    assert (await everything(again))["jane"].same_bits((await everything(engine))["jane"])
    with pytest.raises(UnknownCohort):
        await again.call(lambda pool: pool.get("joe"))


async def test_a_name_is_that_of_the_cohort_that_bore_it_last(house: House) -> None:
    """Of names that were borne in turn by cohorts of several families."""
    engine = house.engine()
    await start(engine, "joe", 2)
    await forked(engine, "joe", "jane")
    await start(engine, "jim", 3)
    await engine.call(lambda pool: pool.retire("jane", None))
    await forked(engine, "jim", "jane", seed=4)
    await engine.call(lambda pool: pool.retire("joe", None))
    await start(engine, "joe", 5)
    await steps(engine, "jane", 2)
    again = house.after_a_crash()
    assert await same_bits(engine, again)


async def test_a_log_goes_on_in_many_files_and_over_many_servers(house: House) -> None:
    config = DurableConfig(segment_bytes=1, checkpoint_bytes=1 << 30, pause_seconds=0)
    untouched = house.engine(folder=house.folder.with_name("other"))
    await start(untouched, "joe", 3)
    engine = house.engine(config)
    await start(engine, "joe", 3)
    for _ in range(4):
        for living in (engine, untouched):
            for _ in range(3):
                await steps(living, "joe", 2)
        house.stop(engine)
        engine = house.engine(config)
    assert len(list(journal(house.folder).glob("log-*"))) >= 12
    assert await same_bits(engine, untouched)


async def test_checkpoints_take_the_place_of_the_log(house: House) -> None:
    config = DurableConfig(segment_bytes=1000, checkpoint_bytes=3000, pause_seconds=0)
    engine = house.engine(config)
    await start(engine, "joe", 3)
    await forked(engine, "joe", "jane")
    crashed = []
    for _ in range(8):
        await steps(engine, "joe", 40)
        await steps(engine, "jane", 1)
        crashed.append((await everything(engine), house.copy()))
    for expected, copy in crashed:
        found = await everything(house.engine(folder=copy))
        assert all(found[name].same_bits(expected[name]) for name in expected)
    assert int(max(journal(house.folder).glob("checkpoint-*")).name[-8:]) > 3


async def test_snapshots_are_taken_by_steps_and_at_the_end(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 3, Durability(Level.SNAPSHOT, 3600, 10))
    newborn = house.after_a_crash()
    assert (await everything(newborn))["joe"].step.tolist() == [0, 0, 0]
    await steps(engine, "joe", 25)

    async def saved() -> int:
        return int((await everything(house.after_a_crash()))["joe"].step[0])

    deadline = asyncio.get_running_loop().time() + 20
    while await saved() < 10:
        assert asyncio.get_running_loop().time() < deadline
    await steps(engine, "joe", 2)
    expected = await everything(engine)
    house.stop(engine)
    again = house.engine()
    assert (await everything(again))["joe"].same_bits(expected["joe"])
    assert await again.call(lambda pool: pool.get("joe").journal.durability) == Durability(Level.SNAPSHOT, 3600, 10)


async def test_a_fork_of_a_snapshotted_cohort_is_snapshotted(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 3, Durability(Level.SNAPSHOT))
    await steps(engine, "joe", 2)
    await forked(engine, "joe", "jane")
    found = await everything(house.after_a_crash())
    assert found["jane"].step.tolist() == [2, 2, 2]
    assert found["joe"].step.tolist() == [0, 0, 0]
    await engine.call(lambda pool: pool.retire("joe", None))
    assert (await everything(house.after_a_crash())).keys() == {"jane"}


async def test_what_was_kept_of_work_on_a_queue_comes_back(house: House) -> None:
    engine = house.engine()
    await start(engine, "joe", 5)
    await steps(engine, "joe", 2)
    lanes = await engine.call(
        lambda pool: Lanes(pool, engine.steppers["joe"], pool.get("joe"), np.array([4, 0, 2]), keep_learning=True)
    )
    await lanes.do(engine, batch(3, steps=4), np.arange(3), is_wanted=lambda: True)
    dropped = house.after_a_crash()
    assert await same_bits(engine, dropped)
    await engine.call(lambda pool: lanes.keep(np.array([True, False, True])))
    again = house.after_a_crash()
    assert (await everything(again))["joe"].step.tolist() == [2, 2, 6, 2, 6]
    for living in (engine, again):
        await steps(living, "joe", 2)
    assert await same_bits(engine, again)


async def test_a_cohort_that_ends_while_it_is_saved_does_not_come_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, gate = threading.Event(), threading.Event()
    write = checkpoints.write

    def write_late(*arguments: Any) -> int:
        entered.set()
        assert gate.wait(20)
        return write(*arguments)

    engine = house.engine(DurableConfig(checkpoint_steps=1, pause_seconds=0))
    await start(engine, "joe", 2)
    monkeypatch.setattr(checkpoints, "write", write_late)
    await steps(engine, "joe", 1)
    assert await asyncio.to_thread(entered.wait, 20)
    await engine.call(lambda pool: pool.retire("joe", None))
    gate.set()
    house.stop(engine)
    assert names_in(house.folder) == []


WORDS = st.lists(
    st.one_of(
        st.tuples(st.just("act"), st.sampled_from("abc"), st.lists(st.integers(0, 3), min_size=1, unique=True)),
        st.tuples(st.just("fork"), st.sampled_from("abc"), st.sampled_from("abc"), st.integers(1, 2)),
        st.tuples(st.just("retire"), st.sampled_from("abc"), st.lists(st.integers(0, 3), min_size=1, unique=True)),
        st.tuples(st.just("run"), st.sampled_from("abc"), st.integers(1, 3)),
    ),
    max_size=25,
)


async def obey(engine: Engine, words: list[tuple]) -> None:
    """What cannot be done is refused, and changes nothing."""
    for what, name, *rest in words:
        try:
            if what == "act":
                await act(engine, name, rest[0])
            elif what == "fork":
                await engine.call(lambda pool, name=name, rest=rest: pool.fork(name, None, rest[1], rest[0], 1))
            elif what == "retire":
                chosen = np.array(rest[0])
                await engine.call(lambda pool, name=name, chosen=chosen: pool.retire(name, chosen))
            else:
                await run(engine, name, ticks=rest[0])
        except PluresError:
            continue


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS, checkpoint_steps=st.sampled_from([1, 10, 1 << 40]))
def test_whatever_was_done_comes_back(house: House, words: list[tuple], checkpoint_steps: int) -> None:
    async def live() -> None:
        config = DurableConfig(segment_bytes=300, checkpoint_steps=checkpoint_steps, pause_seconds=0)
        engine = house.engine(config, folder=house.fresh())
        await start(engine, "a", 4)
        await obey(engine, words)
        assert await same_bits(engine, house.engine(folder=house.copy(engine.journals.folder)))
        house.close()

    asyncio.run(live())
