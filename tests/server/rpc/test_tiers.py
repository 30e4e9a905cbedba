"""More agents than memory holds, over the wire: the same answers as from memory, and refusals that change nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plures.v1 import agent_pb2 as ag
from plures.v1 import task_pb2 as ta

from ..disk import files_of_at_most
from ..helpers import names_in
from .helpers import Wire, array, connect, item_refusal, new_name, refusal, span, tensor

PAGE = 4096
HOT, HOST, DISK = 128, 32, 600
COUNT = 500


def gigabytes(pages: int) -> str:
    return repr(pages * PAGE / 2**30)


def sizes(folder: Path) -> list[str]:
    memory = "--memory-gb", gigabytes(HOT), "--host-gb", gigabytes(HOST)
    return [*memory, "--disk-gb", gigabytes(DISK), "--tier-dir", str(folder)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tier")


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any], folder: Path) -> Any:
    """A server that keeps few states in memory."""
    return launch_server(*sizes(folder))


@pytest.fixture
def cold(server: Any) -> Iterator[Wire]:
    """To that server; what a test leaves alive there is retired."""
    with connect(server.address) as wire:
        yield wire
        for cohort in wire.agents.ListCohorts(ag.ListCohortsRequest()).cohorts:
            wire.agents.Retire(ag.RetireRequest(name=cohort.name))


@pytest.fixture(scope="module")
def warm(launch_server: Callable[..., Any]) -> Iterator[Wire]:
    """To a server that keeps all in memory."""
    with connect(launch_server().address) as wire:
        yield wire


def run(wire: Wire, cohort: str) -> np.ndarray:
    request = ta.RunTaskRequest(cohort=cohort, task="tasks/bandit", parameters=tensor([[0.3, 0.6]]), steps=4, seed=5)
    return np.concatenate(
        [array(one.summary.summary) for one in wire.tasks.RunTask(request) if one.HasField("summary")]
    )


def answers(wire: Wire, cohort: str, *spans: tuple[int, int]) -> list[bytes]:
    """What agents do, and how likely that was, to the last bit."""
    found = wire.act(ag.ActRequest(cohort=cohort, ordinals=span(*one), want_log_probs=True) for one in spans)
    assert not any(answer.HasField("error") for answer in found)
    return [answer.action.data + answer.log_probs.data for answer in found]


def by_tier(wire: Wire) -> dict[str, int]:
    return {tier.name: tier.pages for tier in wire.pool().tiers}


def test_a_full_disk_refuses_what_needs_it_and_loses_nothing(server: Any, cold: Wire, warm: Wire) -> None:
    """Comes first: what others have made the file grow to, is taken."""
    there = [each.start(350, seed=1) for each in (cold, warm)]
    assert np.array_equal(*(run(each, joe) for each, joe in zip((cold, warm), there, strict=True)))
    before, more = cold.pool(), cold.start(310)
    with files_of_at_most(2 << 20, server.process.pid):  # 512 states
        for refused in (
            refusal(lambda: run(cold, more)),
            item_refusal(cold.act([ag.ActRequest(cohort=more, ordinals=span(0, 310))])[0].error),
        ):
            assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "POOL_FULL")
            assert "has no room for more cold states (File too large)" in refused.message
    assert cold.cohort(more).max_step == 0
    cold.agents.Retire(ag.RetireRequest(name=more))
    assert cold.pool() == before
    spans = [(n, 50) for n in range(0, 350, 50)]
    assert answers(cold, there[0], *spans) == answers(warm, there[1], *spans)


def test_more_agents_than_memory_holds_live_as_in_memory(cold: Wire, warm: Wire) -> None:
    seen = []
    for each in (cold, warm):
        joe = each.start(COUNT, seed=3)
        summary = run(each, joe)
        acted = answers(each, joe, (0, 50), (450, 50), (0, 50), (0, COUNT // 4), (200, 60))
        each.save(joe, name := new_name())
        each.agents.Retire(ag.RetireRequest(name=joe, ordinals=span(0, 100)))
        forked = each.agents.Fork(ag.ForkRequest(name=joe, ordinals=span(100, 40), copies=3, cohort_id=new_name()))
        acted += answers(each, forked.cohort.name, (0, 64), (64, 56))
        each.agents.Retire(ag.RetireRequest(name=joe))
        again = each.restore(f"snapshots/{name}", new_name()).name
        seen.append([summary.tobytes(), *acted, *answers(each, again, *((n, 50) for n in range(0, COUNT, 50)))])
        each.agents.Retire(ag.RetireRequest(name=again))
        each.agents.Retire(ag.RetireRequest(name=forked.cohort.name))
    assert seen[0] == seen[1]
    assert by_tier(cold) == {"device": 0, "host": 0, "disk": 0}


def test_the_pool_says_what_lies_where(cold: Wire) -> None:
    run(cold, cold.start(COUNT))
    pool = cold.pool()
    assert [(tier.name, tier.bytes_capacity) for tier in pool.tiers] == [
        ("device", HOT * PAGE),
        ("host", HOST * PAGE),
        ("disk", DISK * PAGE),
    ]
    assert all(tier.bytes_used == PAGE * tier.pages <= tier.bytes_capacity for tier in pool.tiers)
    assert sum(tier.pages for tier in pool.tiers) == COUNT
    assert pool.bytes_used == COUNT * PAGE
    # Where nothing is free, nothing can be moved.
    assert pool.bytes_capacity == (HOT + HOST + DISK - HOT // 8) * PAGE


def test_what_is_beyond_all_tiers_is_refused_and_changes_nothing(cold: Wire) -> None:
    joe = cold.start(1000)
    run(cold, cold.start(COUNT))
    before = cold.pool()
    request = ta.RunTaskRequest(cohort=joe, task="tasks/bandit", parameters=tensor([[0.3, 0.6]]), steps=4)
    refused = refusal(lambda: cold.tasks.RunTask(request))
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "POOL_FULL")
    assert "1,000 more states of 4,096 bytes are needed and 244 are free" in refused.message
    [answer] = cold.act([ag.ActRequest(cohort=joe)])
    assert item_refusal(answer.error).reason == "POOL_FULL"
    assert cold.pool() == before
    assert cold.cohort(joe).max_step == 0


def test_two_servers_keep_their_cold_states_in_one_folder(
    cold: Wire, warm: Wire, launch_server: Callable[..., Any], folder: Path
) -> None:
    second = launch_server(*sizes(folder))
    with connect(second.address) as other:
        there = [(each, each.start(COUNT, seed=1)) for each in (cold, other, warm)]
        for _ in range(2):
            one, another, expected = (run(each, joe) for each, joe in there)
            assert np.array_equal(one, expected)
            assert np.array_equal(another, expected)
        assert min(by_tier(cold)["disk"], by_tier(other)["disk"]) > 0
    second.kill()
    assert names_in(folder) == [], "however a server ends, it leaves nothing behind"
