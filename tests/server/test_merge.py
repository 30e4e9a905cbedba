"""Merging: what copies learned since they parted, added up."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plures_server import merge as merging
from plures_server.cohort import Cohort
from plures_server.engine import Engine
from plures_server.errors import (
    AgentsBusy,
    AlreadyExists,
    InvalidArgument,
    NoCommonAncestor,
    PluresError,
    PoolFull,
    StudentMismatch,
    UnknownAgent,
    UnknownCohort,
)
from plures_server.merge import Members, MergeRequest, merge
from plures_server.snapshots import Snapshots
from plures_students.model import NO_ACTION
from torch import Tensor

from .conftest import MakeEngine
from .helpers import act, forked, lives, small_student, start
from .test_act import pages_used


def members(cohort: str, ordinals: Sequence[int] | None = None, weights: Sequence[float] | None = None) -> Members:
    return Members(
        cohort,
        None if ordinals is None else np.array(ordinals, np.int64),
        None if weights is None else np.array(weights, np.float64),
    )


async def merged(engine: Engine, name: str, *named: Members, **more: Any) -> Cohort:
    return await engine.drive(merge(engine.pool, MergeRequest(named, name, **more)))


async def state(engine: Engine, name: str, ordinal: int = 0) -> Tensor:
    return (await lives(engine, name, [ordinal])).page[0]


async def grown(engine: Engine, name: str, steps: int = 3) -> None:
    """Agents step, each with rewards of its own."""
    count = (await engine.call(lambda pool: pool.get(name))).count
    for step in range(steps):
        await act(engine, name, reward=torch.arange(count) * 0.5 + step)


@pytest.fixture
async def family(engine: Engine) -> str:
    """Four copies of one who had lived, each of whom lived on by itself."""
    await start(engine, "parent", 2, seed=1)
    await grown(engine, "parent")
    await engine.call(lambda pool: pool.fork("parent", np.array([1]), 4, "family", 2))
    await grown(engine, "family")
    await grown(engine, "parent", 1)
    return "family"


async def test_what_members_learned_is_added_to_what_they_had_in_common(engine: Engine, family: str) -> None:
    await start(engine, "twin", 2, seed=1)
    await grown(engine, "twin")
    origin = (await state(engine, "twin", 1)).double()
    each = (await lives(engine, family)).page.double()
    weights = [0.5, 2.0, -1.0, 0.25]
    await merged(engine, "sum", members(family, range(4), weights))
    expected = origin + torch.tensor(weights).double() @ (each - origin)
    torch.testing.assert_close((await state(engine, "sum")).double(), expected, rtol=1e-6, atol=1e-7)
    await merged(engine, "mean", members(family))
    torch.testing.assert_close((await state(engine, "mean")).double(), each.mean(0), rtol=1e-6, atol=1e-7)
    await merged(engine, "all", members(family, [2, 0], [1, 1]), members("parent", [1], [1]))
    learned = each[[2, 0]].sum(0) + (await state(engine, "parent", 1)).double() - 3 * origin
    torch.testing.assert_close((await state(engine, "all")).double(), origin + learned, rtol=1e-6, atol=1e-7)


async def test_newborns_have_the_newborn_in_common(engine: Engine) -> None:
    for name, seed in (("joe", 1), ("jane", 2)):
        await start(engine, name, 1, seed)
        await grown(engine, name)
    await merged(engine, "sum", members("joe", weights=[1]), members("jane", weights=[1]))
    both = (await state(engine, "joe")).double() + (await state(engine, "jane")).double()
    assert torch.equal(await state(engine, "sum"), both.float())


async def test_the_common_state_outlives_the_parent(engine: Engine, family: str) -> None:
    await merged(engine, "before", members(family, range(4), [1, 1, 1, 1]))
    await engine.call(lambda pool: pool.retire("parent", None))
    await start(engine, "usurper", 30)
    await grown(engine, "usurper")
    await merged(engine, "after", members(family, range(4), [1, 1, 1, 1]))
    assert torch.equal(await state(engine, "before"), await state(engine, "after"))


async def test_states_are_kept_only_while_they_are_needed(engine: Engine, family: str) -> None:
    assert await pages_used(engine) == 2 + 4 + 1
    await engine.call(lambda pool: pool.retire(family, np.array([0, 1, 2])))
    assert await pages_used(engine) == 2 + 1 + 1
    await engine.call(lambda pool: pool.retire("parent", np.array([1])))
    assert await pages_used(engine) == 1 + 1
    await engine.call(lambda pool: pool.retire("parent", None))
    await engine.call(lambda pool: pool.retire(family, None))
    assert await pages_used(engine) == 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(4)), st.lists(st.floats(-4, 4), min_size=4, max_size=4), st.integers(1, 3))
async def test_the_order_of_members_makes_no_difference(
    make_engine: MakeEngine, order: list[int], weights: list[float], cut: int
) -> None:
    engine = make_engine()
    await start(engine, "parent", 1)
    await grown(engine, "parent")
    await forked(engine, "parent", "family", copies=4)
    await grown(engine, "family")
    await merged(engine, "sorted", members("family", range(4), weights), members("parent", weights=[0.1]))
    mixed = [weights[place] for place in order]
    first, rest = members("family", order[:cut], mixed[:cut]), members("family", order[cut:], mixed[cut:])
    await merged(engine, "mixed", rest, members("parent", weights=[0.1]), first)
    assert torch.equal(await state(engine, "sorted"), await state(engine, "mixed"))


async def test_one_agent_that_counts_once_is_a_copy(engine: Engine, family: str) -> None:
    used = await pages_used(engine)
    await merged(engine, "copy", members(family, [2], [1]), copies=3, seed=9)
    await forked(engine, "copy", "copies", seed=9)
    original = await lives(engine, family, [2, 2, 2])
    assert (await lives(engine, "copy")).same_bits(original)
    assert await pages_used(engine) == used, "until one of them steps"
    await grown(engine, "copy")
    await grown(engine, "copies")
    assert (await lives(engine, "copy")).same_bits(await lives(engine, "copies"))
    assert (await lives(engine, family, [2, 2, 2])).same_bits(original)


async def test_a_merged_agent_remembers_what_its_members_agree_on(engine: Engine, family: str) -> None:
    cohort = await engine.call(lambda pool: pool.get(family))
    cohort.step[:] = [5, 9, 7, 6]
    cohort.last_action[:] = [1, 1, 0, 1]
    cohort.reward[:] = [0.5, 0.5, 0.5, 2]
    agreed = await merged(engine, "agreed", members(family, [0, 1]), copies=2, seed=11)
    assert (agreed.count, agreed.seed, agreed.parent) == (2, 11, family)
    assert agreed.step.tolist() == [9, 9]
    assert (agreed.last_action.tolist(), agreed.reward.tolist()) == ([1, 1], [0.5, 0.5])
    apart = await merged(engine, "apart", members(family), members("parent"))
    assert (apart.last_action.tolist(), apart.reward.tolist(), apart.parent) == ([NO_ACTION], [0], "")
    assert apart.step.tolist() == [9]


async def test_a_merged_agent_lives_on_and_can_be_merged_again(engine: Engine, family: str) -> None:
    await merged(engine, "merged", members(family, [0, 1]), copies=2)
    before = await lives(engine, family)
    await grown(engine, "merged")
    assert (await lives(engine, family)).same_bits(before)
    await merged(engine, "again", members("merged", [0, 1]), members(family, [3]), members("parent", [1]))
    each = [*(await lives(engine, "merged")).page, await state(engine, family, 3), await state(engine, "parent", 1)]
    mean = torch.stack(each).double().mean(0)
    torch.testing.assert_close((await state(engine, "again")).double(), mean, rtol=1e-6, atol=1e-7)


async def test_agents_that_were_restored_apart_are_told_so(engine: Engine, family: str, tmp_path: Any) -> None:
    snapshots = Snapshots(engine, tmp_path / "snapshots")
    await snapshots.write(family, "monday")
    for name in ("one", "two"):
        await snapshots.restore("monday", name)
    for strangers in ([members("one"), members("two")], [members("one"), members(family)]):
        with pytest.raises(NoCommonAncestor, match=r"restored apart; .*ANCESTOR_NEWBORN"):
            await merged(engine, "merged", *strangers)
    await merged(engine, "from-newborn", members("one", [0]), members("two", [0]), from_newborn=True)
    torch.testing.assert_close(await state(engine, "from-newborn"), await state(engine, family))
    await merged(engine, "inside", members("one", [0, 1], [1, 1]))
    await merged(engine, "original", members(family, [0, 1], [1, 1]))
    assert torch.equal(await state(engine, "inside"), await state(engine, "original"))


async def test_members_go_on_while_they_are_merged(
    engine: Engine, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of the sum and steps of the members take turns; what counts is the members as they were."""
    monkeypatch.setattr(merging, "PART_BYTES", 1)
    await merged(engine, "alone", members(family, range(4), [1, 1, 1, 1]))
    job = merge(engine.pool, MergeRequest((members(family, range(4), [1, 1, 1, 1]),), "among-others"))
    await engine.call(lambda pool: next(job))
    await grown(engine, family)
    await engine.call(lambda pool: pool.retire("parent", None))
    assert (await engine.drive(job)).step.tolist() == [6]
    assert torch.equal(await state(engine, "among-others"), await state(engine, "alone"))


async def test_what_is_refused_changes_nothing(make_engine: MakeEngine) -> None:
    engine = make_engine(small_student(), small_student(seed=1), max_agents=8, pages=20)
    await start(engine, "joe", 4)
    await start(engine, "jane", 1, student="jane")
    await grown(engine, "joe")
    cohort = await engine.call(lambda pool: pool.get("joe"))
    cohort.busy[3] = True
    before = await engine.call(lambda pool: pool.usage())
    two, huge = members("joe", [0, 1]), 1e308
    wrong: list[tuple[list[Members], dict[str, Any], type[PluresError], str]] = [
        ([], {}, InvalidArgument, "at least 1 member"),
        ([members("joe", [])], {}, InvalidArgument, "no agents"),
        ([two], {"copies": 0}, InvalidArgument, "copies must be at least 1, not 0"),
        ([two], {"copies": 4}, PoolFull, "4 agents are too many"),
        ([members("nobody")], {}, UnknownCohort, "'nobody'"),
        ([members("joe", [0, 4])], {}, UnknownAgent, "not 4"),
        ([members("joe", [1, 1])], {}, InvalidArgument, "more than once"),
        ([members("joe", [0, 1]), members("joe", [2, 1])], {}, InvalidArgument, "more than once"),
        ([members("joe", [0, 3])], {}, AgentsBusy, "agent 3"),
        ([two, members("jane")], {}, StudentMismatch, "'jane' of student 'jane' and 'joe' of student 'joe'"),
        ([members("joe", [0, 1], [1])], {}, InvalidArgument, "1 weights for 2 agents"),
        ([members("joe", [0, 1], [1, 2, 3])], {}, InvalidArgument, "3 weights for 2 agents"),
        ([members("joe", [0], [1]), members("joe", [1])], {}, InvalidArgument, "1 weights for 2 agents"),
        ([members("joe", [0, 1], [1, np.nan])], {}, InvalidArgument, "weight nan is not finite"),
        ([members("joe", [0, 1], [-np.inf, 1])], {}, InvalidArgument, "weight -inf is not finite"),
        ([members("joe", [0, 1], [huge, -huge])], {}, InvalidArgument, "the merged state is not finite"),
    ]
    for named, more, error, said in wrong:
        with pytest.raises(error, match=said):
            await merged(engine, "merged", *named, **more)
        assert await engine.call(lambda pool: pool.usage()) == before
    for name, error in (("joe", AlreadyExists), ("Joe", InvalidArgument)):
        with pytest.raises(error):
            await merged(engine, name, two)
    cohort.busy[3] = False
    for name in ("joe", "jane"):
        await engine.call(lambda pool, name=name: pool.retire(name, None))
    assert await pages_used(engine) == 0


async def test_a_full_pool_merges_nothing(make_engine: MakeEngine) -> None:
    engine = make_engine(pages=2)
    await start(engine, "joe", 2)
    await grown(engine, "joe")
    with pytest.raises(PoolFull, match="1 more states"):
        await merged(engine, "merged", members("joe"))
    assert len(await engine.call(lambda pool: pool.all())) == 1
