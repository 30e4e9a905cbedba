"""Forks, merges, recorded lives and lineages over a real channel."""

import itertools
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plures.v1 import agent_pb2 as ag
from plures.v1 import become_pb2 as be
from plures.v1 import lineage_pb2 as li

from .helpers import Wire, array, new_name, packed, refusal, tensor


def fork(wire: Wire, source: str, copies: int = 1, seed: int = 0, **more: Any) -> str:
    request = ag.ForkRequest(name=source, copies=copies, cohort_id=new_name(), seed=seed, **more)
    return wire.agents.Fork(request).cohort.name


def step(wire: Wire, cohort: str, rewards: list[list[float]]) -> list[Any]:
    """What agents say and do when they get these rewards [T, B]."""
    asked = [ag.ActRequest(cohort=cohort, reward=tensor(reward), want_log_probs=True) for reward in rewards]
    return [(answer.action, answer.log_probs) for answer in wire.act(asked)]


def members(cohort: str, *ordinals: int, weights: tuple[float, ...] = ()) -> ag.MergeMembers:
    return ag.MergeMembers(cohort=cohort, ordinals=packed(*ordinals) if ordinals else None, weights=weights)


def merge(wire: Wire, *named: ag.MergeMembers, **more: Any) -> ag.Cohort:
    wanted = {"cohort_id": new_name(), "copies": 1} | more
    return wire.agents.Merge(ag.MergeRequest(members=named, **wanted)).cohort


def begin(cohort: str, **more: Any) -> be.BecomeRequest:
    return be.BecomeRequest(begin=be.BecomeBegin(cohort=cohort, **more))


def chunk(actions: list[list[int]], **more: Any) -> be.BecomeRequest:
    return be.BecomeRequest(chunk=be.LifeChunk(action=tensor(actions, "i4"), **more))


COMMIT = be.BecomeRequest(commit=be.BecomeCommit())


def become(wire: Wire, *requests: be.BecomeRequest) -> list[be.BecomeResponse]:
    return list(wire.agents.Become(iter([*requests, COMMIT])))


def lineage(wire: Wire, cohort: str, *ordinals: int) -> list[li.GetLineageResponse]:
    chosen = packed(*ordinals) if ordinals else None
    return list(wire.agents.GetLineage(li.GetLineageRequest(name=cohort, ordinals=chosen)))


rewards = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=3, max_size=3), max_size=4)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rewards, rewards, st.integers(0, 2**64 - 1))
def test_fork_then_step_is_step_then_fork(
    wire: Wire, before: list[list[float]], after: list[list[float]], seed: int
) -> None:
    joe = wire.start(3, seed=seed)
    step(wire, joe, before)
    early = fork(wire, joe, seed=seed)
    told = step(wire, early, after)
    assert step(wire, joe, after) == told
    late = fork(wire, joe, seed=seed)
    assert step(wire, late, [[1, 0, 1]] * 2) == step(wire, early, [[1, 0, 1]] * 2)
    for name in (joe, early, late):
        wire.agents.Retire(ag.RetireRequest(name=name))


def test_ten_generations_live_on_when_their_parents_are_gone(wire: Wire) -> None:
    """Each generation's first agent does what the ancestor would have done; nothing is left of the others."""
    before = wire.pool()
    eldest = wire.start(1, seed=4)
    newest = wire.start(1, seed=4)
    for generation in range(10):
        told = step(wire, eldest, [[generation / 10]])
        assert step(wire, newest, [[generation / 10]]) == told
        parent, newest = newest, fork(wire, newest, copies=5, seed=4, ordinals=packed(0))
        wire.agents.Retire(ag.RetireRequest(name=parent))
        wire.agents.Retire(ag.RetireRequest(name=newest, ordinals=packed(1, 2, 3, 4)))
    assert [event.event for event in lineage(wire, newest)] == [1] + 10 * [2]
    assert wire.pool().bytes_used - before.bytes_used == 2 * 4096, "one state each"
    for name in (eldest, newest):
        wire.agents.Retire(ag.RetireRequest(name=name))
    assert wire.pool() == before


def test_a_merge_of_one_is_a_copy_and_of_many_is_of_any_order(wire: Wire) -> None:
    joe = wire.start(3, seed=4)
    step(wire, joe, [[1, 0, 1], [0, 0, 1]])
    copy = merge(wire, members(joe, 1, weights=(1,)), seed=4).name
    twin = fork(wire, joe, seed=4, ordinals=packed(1))
    assert step(wire, copy, [[1], [0]]) == step(wire, twin, [[1], [0]])
    some = merge(wire, members(joe, 0, 2, weights=(0.5, 2)), members(copy, 0, weights=(-1,)), seed=3)
    other = merge(wire, members(copy, 0, weights=(-1,)), members(joe, 2, 0, weights=(2, 0.5)), seed=3)
    assert (some.min_step, some.max_step, some.count) == (4, 4, 1)
    assert step(wire, some.name, [[1], [0]]) == step(wire, other.name, [[1], [0]])


def test_a_life_is_replayed_in_chunks_to_what_acting_makes_of_it(wire: Wire) -> None:
    lived, became = (wire.start(2, seed=9) for _ in range(2))
    actions = np.random.default_rng(0).integers(0, 2, (200, 2)).tolist()
    got = np.random.default_rng(1).random((200, 2)).tolist()
    acts = [
        ag.ActRequest(cohort=lived, action=tensor(action, "i4"), reward=tensor(reward), want_log_probs=True)
        for action, reward in zip(actions, got, strict=True)
    ]
    expected = np.stack([array(answer.log_probs) for answer in wire.act(acts)])
    cuts = itertools.pairwise([0, 1, 130, 200])
    *told, last = become(
        wire,
        begin(became, want_log_probs=True),
        *(chunk(actions[a:b], reward=tensor(got[a:b])) for a, b in cuts),
    )
    assert [response.agent_steps for response in told] == [2, 260, 400]
    assert not any(response.committed for response in told)
    assert (last.committed, last.agent_steps) == (True, 400)
    log_prob = np.concatenate([array(response.log_prob) for response in told])
    assert np.array_equal(log_prob, np.take_along_axis(expected, np.array(actions)[:, :, None], 2)[:, :, 0])
    assert step(wire, became, [[1, 0]]) == step(wire, lived, [[1, 0]])
    [_, life] = lineage(wire, became)
    assert (life.event, array(life.steps).tolist()) == (li.LINEAGE_EVENT_BECOME, [200, 200])


def test_a_stream_that_breaks_leaves_the_agents_as_they_were(wire: Wire) -> None:
    before = wire.pool()
    joe = wire.start(2)

    def endless() -> Iterator[be.BecomeRequest]:
        yield from (begin(joe), chunk([[1, 1]] * 5))
        leave.result()

    leave: Future[None] = Future()
    stream = wire.agents.Become(endless())
    assert next(stream).agent_steps == 10
    [busy] = wire.act([ag.ActRequest(cohort=joe)])
    assert busy.error.reason == "AGENTS_BUSY"
    stream.cancel()
    leave.set_result(None)
    while wire.act([ag.ActRequest(cohort=joe)])[0].error.reason == "AGENTS_BUSY":
        continue
    assert (wire.cohort(joe).min_step, wire.cohort(joe).max_step) == (1, 1)
    wire.agents.Retire(ag.RetireRequest(name=joe))
    assert wire.pool() == before


BROKEN_LIVES: dict[str, tuple[list[be.BecomeRequest], str]] = {
    "nothing": ([], "send `begin`"),
    "no beginning": ([chunk([[1]])], "send `begin`"),
    "no commitment": ([begin("JOE"), chunk([[1, 1]])], "ended without `commit`; the agents are as they were"),
    "two beginnings": ([begin("JOE"), begin("JOE")], "begins once"),
    "a bad action": (
        [begin("JOE"), chunk([[1, 1]] * 3), chunk([[0, 1], [0, 7]])],
        "action 7 in row 4 of the life of agent 1 is not in Discrete(2)",
    ),
    "a reward that is none": (
        [begin("JOE"), chunk([[1, 1]], reward=tensor([[0, np.inf]]))],
        "reward inf in row 0 of the life of agent 1",
    ),
    "a stranger": ([begin("JOE", ordinals=packed(1)), chunk([[1]], ordinals=packed(0))], "agent 0 is not one of those"),
    "other agents": ([begin("JOE"), chunk([[1]])], "action has shape [1, 1], wanted is [steps, 2 agents]"),
}


@pytest.mark.parametrize("what", BROKEN_LIVES)
def test_a_bad_life_is_refused_and_leaves_the_agents_as_they_were(wire: Wire, what: str) -> None:
    requests, said = BROKEN_LIVES[what]
    joe = wire.start(2)
    for request in requests:
        if request.WhichOneof("part") == "begin":
            request.begin.cohort = joe
    before = wire.pool(), wire.cohort(joe)
    refused = refusal(lambda: wire.agents.Become(iter(requests)))
    assert refused.code == "INVALID_ARGUMENT"
    assert said in refused.message
    assert (wire.pool(), wire.cohort(joe)) == before
    assert wire.act([ag.ActRequest(cohort=joe)])[0].error.reason == ""


def test_a_lineage_says_who_and_when(wire: Wire) -> None:
    old = wire.start(3)
    step(wire, old, [[0, 0, 0]])
    young = fork(wire, old, copies=2, ordinals=packed(2, 0))
    wire.agents.Retire(ag.RetireRequest(name=old))
    merged = merge(wire, members(young, 3, 0, weights=(1, 2))).name
    birth, forked, made = lineage(wire, merged)
    assert (birth.event, birth.cohort, array(birth.ordinals).tolist()) == (li.LINEAGE_EVENT_BIRTH, old, [0, 2])
    assert (forked.event, forked.cohort, forked.student) == (li.LINEAGE_EVENT_FORK, young, "students/bandit")
    assert [array(forked.ordinals).tolist(), array(forked.parent_ordinals).tolist()] == [[0, 3], [2, 0]]
    assert array(forked.step).tolist() == [1, 1]
    assert (forked.parents[0].cohort, forked.parents[0].cohort_number) == (old, birth.number)
    assert (made.event, made.cohort, array(made.step).tolist()) == (li.LINEAGE_EVENT_MERGE, merged, [1])
    [parents] = made.parents
    assert (parents.cohort, array(parents.ordinals).tolist(), parents.weights) == (young, [0, 3], [2, 1])


MERGES: dict[str, tuple[list[ag.MergeMembers], dict[str, Any], str, str, str]] = {
    "nobody": ([], {}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "at least 1 member"),
    "an unknown cohort": ([members("cohorts/nobody")], {}, "NOT_FOUND", "UNKNOWN_COHORT", "'nobody'"),
    "no cohort": ([members("JOE", 0), members("x")], {}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "cohorts/…"),
    "an ordinal beyond": ([members("JOE", 0, 9)], {}, "NOT_FOUND", "UNKNOWN_AGENT", "not 9"),
    "a retired agent": ([members("JOE", 0, 3)], {}, "NOT_FOUND", "UNKNOWN_AGENT", "agent 3"),
    "an agent twice": ([members("JOE", 0), members("JOE", 0)], {}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "more than"),
    "weights of others": (
        [members("JOE", 0, 1, weights=(1,))],
        {},
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "1 weights",
    ),
    "weights of some": (
        [members("JOE", 0, weights=(1,)), members("JOE", 1)],
        {},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "1 weights for 2 agents"),
    ),
    "a weight not finite": (
        [members("JOE", 0, 1, weights=(1, np.nan))],
        {},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "weight nan is not finite"),
    ),
    "no copies": ([members("JOE")], {"copies": 0}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "copies must be at least 1"),
    "too many copies": ([members("JOE")], {"copies": 2**32 - 1}, "RESOURCE_EXHAUSTED", "POOL_FULL", "4,294,967,295"),
    "a name that is none": ([members("JOE")], {"cohort_id": "../x"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "'../x'"),
    "an ancestor that is none": ([members("JOE")], {"ancestor": 9}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "not 9"),
}


@pytest.fixture(scope="module")
def joe(wire: Wire) -> str:
    joe = wire.start(4, seed=5)
    step(wire, joe, [[1, 0, 1, 0]])
    wire.agents.Retire(ag.RetireRequest(name=joe, ordinals=packed(3)))
    return joe


@pytest.mark.parametrize("what", MERGES)
def test_a_merge_that_makes_no_sense_is_refused_and_changes_nothing(wire: Wire, joe: str, what: str) -> None:
    named, more, code, reason, said = MERGES[what]
    for each in named:
        each.cohort = each.cohort.replace("JOE", joe)
    before = wire.pool(), wire.cohort(joe)
    refused = refusal(lambda: merge(wire, *named, **more))
    assert (refused.code, refused.reason) == (code, reason)
    assert said in refused.message
    assert (wire.pool(), wire.cohort(joe)) == before


def test_who_was_restored_apart_is_not_merged_but_as_newborns(wire: Wire, joe: str) -> None:
    name = new_name()
    wire.save(joe, name)
    one, two = (wire.restore(f"snapshots/{name}", new_name()).name for _ in range(2))
    refused = refusal(lambda: merge(wire, members(one), members(two)))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "NO_COMMON_ANCESTOR")
    assert "ANCESTOR_NEWBORN" in refused.message
    assert merge(wire, members(one), members(two), ancestor=ag.ANCESTOR_NEWBORN).alive == 1


@pytest.mark.parametrize("name", ["cohorts/nobody", "nobody"])
def test_the_lineage_of_nobody_is_refused(wire: Wire, joe: str, name: str) -> None:
    assert refusal(lambda: lineage(wire, name)).code in ("NOT_FOUND", "INVALID_ARGUMENT")
    assert refusal(lambda: lineage(wire, joe, 0, 3)).reason == "UNKNOWN_AGENT"
    assert refusal(lambda: lineage(wire, joe, 0, 0)).reason == "INVALID_ARGUMENT"
