"""Agents of whom more live than are hot: the same lives, bit for bit, and nothing lost when a disk fails."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plures_server import errors
from plures_server.engine import Engine
from plures_server.errors import PluresError, PoolFull, TierUnavailable
from plures_server.pages import ColdConfig, Tiered
from plures_server.pages.disk import DiskTier
from plures_server.rpc.errors import item_error
from plures_server.snapshots import Snapshots
from torch import Tensor

from .conftest import MakeEngine
from .helpers import act, forked, lives, names_in, start
from .test_act import pages_used
from .test_engine import held_up
from .test_pool import pool_of
from .test_runs import FAIR, begun, request, run

PAGE = 256
"""Bytes of a state of the small student."""
AGENTS = 120
"""Four times as many as are hot."""
MakeTiered = Callable[..., Engine]


@pytest.fixture
def make_tiered(make_engine: MakeEngine, tmp_path: Path) -> MakeTiered:
    """Start an engine with room for a few states in memory, fewer beside them, and many on disk."""

    def make(hot: int = AGENTS // 4, host: int = 10, disk: int = 400, **config: Any) -> Engine:
        return make_engine(pages=hot, cold=ColdConfig(host * PAGE, disk * PAGE, tmp_path / "tier"), **config)

    return make


async def by_tier(engine: Engine) -> dict[str, int]:
    return {tier.name: tier.pages for tier in (await engine.call(lambda pool: pool.usage())).tiers}


async def begin_alike(engines: tuple[Engine, ...], name: str = "joe", count: int = AGENTS) -> None:
    for engine in engines:
        await start(engine, name, count, seed=7)


async def assert_alike(engine: Engine, other: Engine, name: str = "joe") -> None:
    assert (await lives(engine, name)).same_bits(await lives(other, name))


async def test_acts_that_favour_some_agents_make_the_lives_that_they_make_in_memory(
    make_tiered: MakeTiered, engine: Engine
) -> None:
    """Zipf's law over four times as many agents as are hot."""
    tiered, generator = make_tiered(), np.random.default_rng(0)
    await begin_alike((tiered, engine))
    weights = 1 / np.arange(1, AGENTS + 1)
    for _ in range(60):
        chosen = generator.choice(AGENTS, size=20, replace=False, p=weights / weights.sum()).tolist()
        one, other = [await act(each, "joe", chosen, want_log_probs=True) for each in (tiered, engine)]
        assert np.array_equal(one.action, other.action)
        assert np.array_equal(one.log_probs, other.log_probs)
    used = await pages_used(engine)
    found = await by_tier(tiered)
    assert sum(found.values()) == await pages_used(tiered) == used
    assert found["disk"] > used / 4
    await assert_alike(tiered, engine)


@pytest.mark.parametrize("hot", [2, 3, 30, 1000])
async def test_a_run_of_more_agents_than_are_hot_is_the_run_they_make_in_memory(
    make_tiered: MakeTiered, engine: Engine, hot: int
) -> None:
    tiered = make_tiered(hot)
    await begin_alike((tiered, engine))
    steps = np.sort(np.random.default_rng(1).integers(1, 9, AGENTS))[::-1].copy()
    for seed in (1, 2):
        _, one = await run(tiered, request(steps=steps, seed=seed))
        _, other = await run(engine, request(steps=steps, seed=seed))
        assert np.array_equal(one, other)
    await assert_alike(tiered, engine)
    found = await by_tier(tiered)
    assert sum(found.values()) == AGENTS
    assert found["device"] <= hot
    assert (found["disk"] == 0) == (hot >= AGENTS), "what fits stays"


async def test_one_act_of_more_agents_than_are_hot_is_carried_out_in_parts(
    make_tiered: MakeTiered, engine: Engine
) -> None:
    tiered = make_tiered()
    await begin_alike((tiered, engine))
    for _ in range(5):
        one, other = [await act(each, "joe") for each in (tiered, engine)]
        assert np.array_equal(one.action, other.action)
    await assert_alike(tiered, engine)


async def test_runs_and_acts_of_many_take_turns_with_what_is_hot(make_tiered: MakeTiered, engine: Engine) -> None:
    tiered = make_tiered()
    for name in ("joe", "jane", "jim"):
        await begin_alike((tiered, engine), name)

    async def live(each: Engine) -> None:
        acts = [act(each, "jim", list(range(n, n + 30))) for n in range(0, 90, 3)]
        await asyncio.gather(run(each, request("joe", steps=12)), run(each, request("jane", steps=9, seed=3)), *acts)

    await asyncio.gather(live(tiered), live(engine))
    for name in ("joe", "jane", "jim"):
        await assert_alike(tiered, engine, name)


async def test_cold_agents_are_forked_retired_saved_and_restored(
    make_tiered: MakeTiered, engine: Engine, tmp_path: Path
) -> None:
    tiered = make_tiered()
    for each in (tiered, engine):
        await start(each, "joe", AGENTS, seed=7)
        await run(each, request())
        snapshots = Snapshots(each, tmp_path / each.steppers["joe"].pages.places.__class__.__name__)
        hot_before = await by_tier(each)
        await snapshots.write("joe", "monday")
        assert await by_tier(each) == hot_before, "what is saved stays where it is"
        await forked(each, "joe", "jane", copies=2, seed=8)
        await each.call(lambda pool: pool.retire("joe", np.arange(0, AGENTS, 2)))
        await act(each, "jane", list(range(0, 2 * AGENTS, 5)))
        await snapshots.restore("monday", "again")
        await act(each, "again")
    for name in ("jane", "again"):
        await assert_alike(tiered, engine, name)
    alive = list(range(1, AGENTS, 2))
    assert (await lives(tiered, "joe", alive)).same_bits(await lives(engine, "joe", alive))
    assert await pages_used(tiered) == sum((await by_tier(tiered)).values()) == await pages_used(engine)


async def test_what_is_beyond_all_tiers_is_refused_and_changes_nothing(make_tiered: MakeTiered) -> None:
    tiered = make_tiered(hot=16, host=4, disk=20)
    await start(tiered, "joe", 60)
    await act(tiered, "joe", list(range(20)))
    before, found = await lives(tiered, "joe"), await by_tier(tiered)
    with pytest.raises(PoolFull):
        await act(tiered, "joe", list(range(20, 60)))
    with pytest.raises(PoolFull, match="40 more states of 256 bytes are needed and 18 are free"):
        await begun(tiered, request())
    assert (await lives(tiered, "joe")).same_bits(before)
    assert await by_tier(tiered) == found
    await act(tiered, "joe", list(range(8)))


async def test_an_act_in_parts_keeps_all_states_until_it_is_done(make_tiered: MakeTiered) -> None:
    tiered = make_tiered(hot=16, host=4, disk=20)
    await start(tiered, "joe", 20)
    await act(tiered, "joe")
    with pytest.raises(PoolFull, match=r"only 8 of 20 agents can be stepped at once.* act on 8 at a time"):
        await act(tiered, "joe")
    assert (await lives(tiered, "joe")).step.tolist() == [1] * 20


def failing(number: int, after: int = 0) -> Callable[..., Any]:
    """A system call that works so many times, then fails with this error."""
    calls = iter(range(after))

    def fail(*arguments: Any) -> Any:
        if next(calls, None) is None:
            raise OSError(number, os.strerror(number))
        return ORIGINAL(*arguments)

    return fail


ORIGINAL = DiskTier.read


@pytest.mark.parametrize(
    ("number", "error", "said"),
    [
        (errno.ENOSPC, PoolFull, "tier has no room for more cold states (No space left on device)"),
        (errno.EDQUOT, PoolFull, "no room for more cold states (Disk quota exceeded)"),
        (errno.EROFS, TierUnavailable, "cannot be kept in .*tier (Read-only file system)"),
    ],
)
async def test_a_disk_that_takes_no_more_refuses_who_asks_and_nothing_else(
    make_tiered: MakeTiered,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[PluresError],
    said: str,
) -> None:
    tiered = make_tiered()
    await begin_alike((tiered, engine))
    for each in (tiered, engine):
        await act(each, "joe", list(range(35)))
    before = await lives(tiered, "joe")
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", failing(number))
        with pytest.raises(error, match=said.replace("(", r"\(").replace(")", r"\)")):
            await act(tiered, "joe")
        assert (await lives(tiered, "joe")).same_bits(before)
        for each in (tiered, engine):
            await act(each, "joe", list(range(20, 35)))
    for each in (tiered, engine):
        await act(each, "joe")
    await assert_alike(tiered, engine)


def test_a_tier_that_is_unavailable_is_a_precondition_that_fails() -> None:
    told = item_error(errors.TierUnavailable("it is"))
    assert (told.code, told.reason) == (9, "TIER_UNAVAILABLE")


async def test_a_state_that_cannot_be_written_to_disk_stays_in_memory(
    make_tiered: MakeTiered, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiered = make_tiered(host=0)
    await begin_alike((tiered, engine))
    for each in (tiered, engine):
        await act(each, "joe", list(range(25)))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", failing(errno.EIO))
        with pytest.raises(TierUnavailable, match="cannot be moved to disk, and stay where they are: "):
            await act(tiered, "joe", list(range(25, 40)))
        for each in (tiered, engine):
            await act(each, "joe", list(range(15)))
    for each in (tiered, engine):
        await act(each, "joe")
    await assert_alike(tiered, engine)


@pytest.mark.parametrize("after", range(4))
async def test_an_act_that_fails_to_read_some_states_steps_nobody(
    make_tiered: MakeTiered, engine: Engine, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Even when others of it had stepped already."""
    tiered = make_tiered(host=0)
    await begin_alike((tiered, engine))
    for each in (tiered, engine):
        await act(each, "joe")
    with monkeypatch.context() as patch:
        patch.setattr(DiskTier, "read", failing(errno.EIO, after))
        with pytest.raises(TierUnavailable, match="cannot be read from disk: Input/output error"):
            await act(tiered, "joe")
    await assert_alike(tiered, engine)
    assert await pages_used(tiered) == AGENTS
    for each in (tiered, engine):
        await act(each, "joe")
    await assert_alike(tiered, engine)


async def test_acts_join_in_waves_that_fit(
    make_tiered: MakeTiered, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that when some agents of a wave cannot be read, none of it has stepped."""
    tiered = make_tiered(hot=30, host=0)
    await begin_alike((tiered, engine))
    for each in (tiered, engine):
        await act(each, "joe")
    with monkeypatch.context() as patch:
        patch.setattr(DiskTier, "read", failing(errno.EIO, 1))
        with held_up(tiered):
            sent = [act(tiered, "joe", list(range(n, n + 10))) for n in range(0, AGENTS, 10)]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert any(isinstance(outcome, TierUnavailable) for outcome in outcomes)
    for n, outcome in enumerate(outcomes):
        if not isinstance(outcome, TierUnavailable):
            await act(engine, "joe", list(range(10 * n, 10 * n + 10)))
    await assert_alike(tiered, engine)


@pytest.mark.parametrize("after", [0, 3, 12])
async def test_a_run_that_fails_to_read_some_states_leaves_everyone_at_a_whole_step(
    make_tiered: MakeTiered, engine: Engine, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    tiered = make_tiered(host=0)
    await begin_alike((tiered, engine))
    for each in (tiered, engine):
        await act(each, "joe")
    with monkeypatch.context() as patch:
        patch.setattr(DiskTier, "read", failing(errno.EIO, after))
        with pytest.raises(TierUnavailable):
            await run(tiered, request(parameters=FAIR, steps=20))
    made = (await lives(tiered, "joe")).step - 1
    assert made.max() - made.min() <= 1
    for ordinal in np.flatnonzero(made):
        await run(engine, request(ordinals=np.array([ordinal]), steps=int(made[ordinal])))
    await assert_alike(tiered, engine)
    assert await pages_used(tiered) == AGENTS


async def test_the_file_of_a_tier_has_no_name_and_two_servers_share_a_folder(
    make_tiered: MakeTiered, engine: Engine, tmp_path: Path
) -> None:
    first, second = make_tiered(), make_tiered()
    await begin_alike((first, second, engine))
    for each in (first, second, engine):
        await run(each, request())
    assert (await by_tier(first))["disk"] > 0
    assert names_in(tmp_path / "tier") == []
    await assert_alike(first, second)
    await assert_alike(first, engine)


async def test_an_engine_that_stops_gives_its_file_back(make_tiered: MakeTiered) -> None:
    tiered = make_tiered()
    places = tiered.steppers["joe"].pages.places
    assert isinstance(places, Tiered)
    disk = places._tiers[3]
    assert isinstance(disk, DiskTier)
    tiered.stop()
    assert disk._file.closed


async def test_a_page_is_read_while_it_moves(make_tiered: MakeTiered) -> None:
    """By a thread beside the engine's, as a snapshot is written, with all that is hot changing hands."""
    tiered = make_tiered(host=5)
    await start(tiered, "still", AGENTS, seed=1)
    await start(tiered, "busy", AGENTS, seed=2)
    await run(tiered, request("still"))
    expected = (await lives(tiered, "still")).page
    handles = await tiered.call(lambda pool: pool.get("still").page.copy())
    pages = tiered.steppers["joe"].pages
    busy = asyncio.ensure_future(run(tiered, request("busy", steps=60)))

    def read() -> list[Tensor]:
        return [pages.get(handles) for _ in range(100)]

    for states in await asyncio.to_thread(read):
        assert states.equal(expected)
    await busy


async def test_memory_for_one_state_is_too_little_when_others_are_cold(tmp_path: Path) -> None:
    with pytest.raises(PoolFull, match="memory for 2 at least"):
        pool_of(pages=1, cold=ColdConfig(disk_bytes=400, folder=tmp_path))
