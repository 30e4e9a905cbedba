"""Where agents come from: told of the living, whatever became of those they come from."""

import gc
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plures_server.become import Becoming
from plures_server.engine import Engine
from plures_server.errors import DamagedSnapshot
from plures_server.life import LifeChunk
from plures_server.lineage import Event, Kind, Lineage, Parents, history
from plures_server.merge import Members, MergeRequest, merge
from plures_server.saved_lineage import decode, encode
from plures_server.snapshots import Snapshots

from .conftest import MakeEngine
from .helpers import act, start

Told = tuple[str, str, list[int], list[int], Any]


async def lineage(engine: Engine, name: str, ordinals: Sequence[int] | None = None) -> list[Told]:
    """What happened, to whom, after how many steps, and whom they come from."""
    chosen = None if ordinals is None else np.array(ordinals, np.int64)
    found = await engine.call(lambda pool: history(*pool.lineage(name, chosen)))
    return [told(of, event) for of, event in found]


def told(of: Lineage, event: Event) -> Told:
    if event.kind is Kind.MERGE:
        parents = [(each.lineage.cohort, each.ordinals.tolist(), each.weights.tolist()) for each in event.parents]
    elif event.parents:
        parents = (event.parents[0].lineage.cohort, event.parent_ordinals.tolist())
    else:
        parents = None if event.steps is None else event.steps.tolist()
    return event.kind.name, of.cohort, event.ordinals.tolist(), event.step.tolist(), parents


async def fork(engine: Engine, source: str, ordinals: list[int], copies: int, name: str) -> None:
    await engine.call(lambda pool: pool.fork(source, np.array(ordinals), copies, name, 0))


async def retire(engine: Engine, name: str, ordinals: list[int] | None = None) -> None:
    chosen = None if ordinals is None else np.array(ordinals)
    await engine.call(lambda pool: pool.retire(name, chosen))


async def become(engine: Engine, name: str, ordinals: list[int], steps: int) -> None:
    becoming = await engine.call(lambda pool: Becoming.begin(pool, engine.steppers, name, np.array(ordinals)))
    chunk = LifeChunk(torch.ones(steps, len(ordinals), dtype=torch.int32))
    await engine.drive(becoming.live(chunk, want_log_probs=False))
    await engine.call(lambda pool: becoming.keep())


@pytest.fixture
async def family(engine: Engine) -> str:
    """Grandchildren of agents 4 and 2 of `old`, which lived a life before its children parted, and one after."""
    await start(engine, "old", 6)
    await become(engine, "old", [5, 2], 3)
    await act(engine, "old", [4])
    await fork(engine, "old", [4, 2], 2, "middle")
    await become(engine, "old", [2, 4], 7)
    await act(engine, "middle")
    await fork(engine, "middle", [3, 0, 1], 2, "young")
    return "young"


async def test_ancestors_are_told_as_they_were_when_their_children_parted(engine: Engine, family: str) -> None:
    assert await lineage(engine, family, [5, 0]) == [
        ("BIRTH", "old", [2, 4], [0, 0], None),
        ("BECOME", "old", [2], [0], [3]),
        ("FORK", "middle", [1, 3], [1, 3], ("old", [4, 2])),
        ("FORK", "young", [0, 5], [4, 2], ("middle", [3, 1])),
    ]
    assert await lineage(engine, "old", [4, 0]) == [
        ("BIRTH", "old", [0, 4], [0, 0], None),
        ("BECOME", "old", [4], [1], [7]),
    ]


async def test_a_lineage_outlives_those_it_tells_of(engine: Engine, family: str) -> None:
    before = await lineage(engine, family)
    for name in ("old", "middle"):
        await retire(engine, name)
    await start(engine, "old", 3)
    assert await lineage(engine, family) == before


async def test_what_nobody_comes_from_any_more_is_forgotten(engine: Engine, family: str) -> None:
    forgotten = weakref.ref(await engine.call(lambda pool: pool.get("middle").lineage))
    await retire(engine, "middle")
    gc.collect()
    assert forgotten() is not None
    await retire(engine, family)
    gc.collect()
    assert forgotten() is None


async def test_a_merge_has_all_members_for_parents(engine: Engine, family: str) -> None:
    members = Members(family, np.array([4, 1]), np.array([0.25, 2])), Members("middle", np.array([2]), np.array([1.0]))
    await engine.drive(merge(engine.pool, MergeRequest(members, "merged", copies=3)))
    await retire(engine, family)
    assert (await lineage(engine, "merged", [2, 1]))[2:] == [
        ("FORK", "middle", [1, 2, 3], [1, 3, 3], ("old", [4, 2, 2])),
        ("FORK", "young", [1, 4], [4, 2], ("middle", [3, 1])),
        ("MERGE", "merged", [1, 2], [4, 4], [("middle", [2], [1.0]), ("young", [1, 4], [2.0, 0.25])]),
    ]


async def test_a_snapshot_carries_the_lineage_to_another_server(
    make_engine: MakeEngine, engine: Engine, family: str, tmp_path: Path
) -> None:
    before = await lineage(engine, family, [5, 0])
    await Snapshots(engine, tmp_path).write(family, "monday", np.array([1, 5, 0]))
    other = make_engine()
    await start(other, "old", 1)
    await Snapshots(other, tmp_path).restore("monday", "again", np.array([2, 1]))
    await fork(other, "again", [1], 2, "copies")
    assert await lineage(other, "again") == [*before, ("RESTORE", "again", [0, 1], [4, 2], (family, [0, 5]))]
    assert (await lineage(other, "copies"))[-2:] == [
        ("RESTORE", "again", [1], [2], (family, [5])),
        ("FORK", "copies", [0, 1], [2, 2], ("again", [1, 1])),
    ]


async def test_generations_without_end_are_told_in_order(engine: Engine) -> None:
    await start(engine, "g0", 1)
    for generation in range(1, 200):
        await act(engine, f"g{generation - 1}", [0])
        await fork(engine, f"g{generation - 1}", [0], 1, f"g{generation}")
        await retire(engine, f"g{generation - 1}")
    birth, *forks = await lineage(engine, "g199")
    assert birth[:2] == ("BIRTH", "g0")
    assert forks == [("FORK", f"g{n}", [0], [n], (f"g{n - 1}", [0])) for n in range(1, 200)]


async def test_a_million_forks_of_one_take_no_memory_for_their_lineage(engine: Engine) -> None:
    await start(engine, "joe", 1)
    await act(engine, "joe")
    await fork(engine, "joe", [0], 1_000_000, "million")
    event = (await engine.call(lambda pool: pool.get("million"))).lineage.events[0]
    assert sum(sys.getsizeof(value) for value in vars(event).values()) < 1000
    assert (await lineage(engine, "million", [999_999]))[-1] == ("FORK", "million", [999_999], [1], ("joe", [0]))


def saved() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A birth, a fork, a life, a merge, a restoration."""
    rows = np.arange(3, dtype=np.uint32)
    steps = np.arange(3)
    old = Lineage("old", "joe", [Event(2, Kind.BIRTH, np.zeros(1, np.int64), copies=3)])
    young = Lineage("young", "joe")
    young.events += [
        Event(5, Kind.FORK, steps, parents=(Parents(old),), parent_ordinals=rows),
        Event(7, Kind.BECOME, steps, ordinals=rows, steps=steps + 1),
    ]
    weighted = (Parents(young, rows, np.ones(3)), Parents(old, rows[:1], np.ones(1)))
    merged = Lineage("merged", "joe", [Event(9, Kind.MERGE, steps[:1], copies=3, parents=weighted)])
    restored = Event(11, Kind.RESTORE, steps, parents=(Parents(merged),), parent_ordinals=rows, snapshot="monday")
    return encode(history(Lineage("again", "joe", [restored]), rows, 100))


def test_a_saved_lineage_comes_back_with_other_numbers() -> None:
    entries, arrays = saved()
    again = decode(entries, arrays, "joe", iter(range(50, 60)))
    assert (again.cohort, again.number) == ("again", 54)
    more_entries, more_arrays = encode(history(again, np.arange(3, dtype=np.uint32), 100))
    assert [entry["number"] for entry in more_entries] == [50, 51, 52, 53, 54]
    assert more_arrays.keys() == arrays.keys()
    assert all(np.array_equal(more_arrays[name], values) for name, values in arrays.items())


ENTRIES: dict[str, tuple[int, dict[str, Any]]] = {
    "a kind of its own": (0, {"kind": "MIRACLE"}),
    "a number that is none": (0, {"number": "2"}),
    "numbers that do not grow": (2, {"number": 5}),
    "a cohort that is none": (0, {"cohort": "../old"}),
    "a life before its cohort": (2, {"cohort_number": 77}),
    "two beginnings": (1, {"cohort_number": 2}),
    "parents unknown": (1, {"parents": [3]}),
    "no parent": (1, {"parents": []}),
    "two parents": (1, {"parents": [2, 2]}),
    "a parent of a newborn": (0, {"parents": [0]}),
    "parents that are no list": (1, {"parents": None}),
    "a snapshot for a fork": (1, {"snapshot": "monday"}),
    "no snapshot": (4, {"snapshot": ""}),
    "a snapshot that is none": (4, {"snapshot": "../../x"}),
}
ARRAYS: dict[str, tuple[str, Any]] = {
    "no steps": ("1.step", None),
    "steps of others": ("1.step", np.zeros(2, np.int64)),
    "steps below 0": ("1.step", np.array([0, -1, 2])),
    "steps of another type": ("1.step", np.zeros(3)),
    "ordinals that do not grow": ("1.ordinals", np.array([0, 2, 1])),
    "no ordinals": ("1.ordinals", np.array([], np.int64)),
    "an ordinal beyond": ("1.ordinals", np.array([0, 1, 1 << 32])),
    "a parent's ordinal below": ("1.parent_ordinals", np.array([0, 1, -1])),
    "parents of others": ("1.parent_ordinals", np.array([0])),
    "no steps of a life": ("2.steps", None),
    "no weights": ("3.0.weights", None),
    "a weight not finite": ("3.0.weights", np.array([1, np.inf, 1])),
    "weights of others": ("3.0.weights", np.ones(2)),
}


@pytest.mark.parametrize("what", ENTRIES)
def test_an_entry_that_makes_no_sense_is_refused(what: str) -> None:
    place, change = ENTRIES[what]
    entries, arrays = saved()
    entries[place] |= change
    with pytest.raises(DamagedSnapshot, match=f"event {place} of its lineage makes no sense"):
        decode(entries, arrays, "joe", iter(range(10)))


@pytest.mark.parametrize("what", ARRAYS)
def test_an_array_that_makes_no_sense_is_refused(what: str) -> None:
    name, values = ARRAYS[what]
    entries, arrays = saved()
    del arrays[name]
    if values is not None:
        arrays[name] = values
    with pytest.raises(DamagedSnapshot, match=f"event {name[0]} of its lineage makes no sense"):
        decode(entries, arrays, "joe", iter(range(10)))


@pytest.mark.parametrize("key", ["number", "kind", "cohort", "cohort_number", "snapshot", "parents"])
def test_a_missing_entry_is_refused(key: str) -> None:
    entries, arrays = saved()
    del entries[1][key]
    with pytest.raises(DamagedSnapshot, match="event 1 of its lineage"):
        decode(entries, arrays, "joe", iter(range(10)))


def test_no_events_are_refused() -> None:
    with pytest.raises(DamagedSnapshot, match="no events"):
        decode([], {}, "joe", iter(range(10)))
