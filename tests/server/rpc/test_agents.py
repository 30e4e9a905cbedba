"""AgentService over a real channel: what cohorts say of themselves, from start to retirement."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from plures.v1 import agent_pb2 as ag

from .helpers import Wire, array, new_name, packed, refusal, span


def test_a_cohort_says_what_it_is(wire: Wire) -> None:
    joe = wire.start(5, seed=2**63)
    newborn = wire.cohort(joe)
    assert (newborn.name, newborn.student, newborn.parent) == (joe, "students/bandit", "")
    assert (newborn.count, newborn.alive, newborn.seed) == (5, 5, 2**63)
    assert (newborn.state_bytes, newborn.min_step, newborn.max_step) == (0, 0, 0)
    wire.act([ag.ActRequest(cohort=joe, ordinals=packed(1, 3)), ag.ActRequest(cohort=joe, ordinals=packed(3))])
    older = wire.cohort(joe)
    assert (older.state_bytes, older.min_step, older.max_step) == (2 * 4096, 0, 2)
    listed = wire.agents.ListCohorts(ag.ListCohortsRequest()).cohorts
    assert older in listed
    assert [cohort.name for cohort in listed] == sorted(cohort.name for cohort in listed)


def test_the_pool_counts_agents_and_bytes(wire: Wire) -> None:
    before = wire.pool()
    joe = wire.start(1000)
    wire.act([ag.ActRequest(cohort=joe, ordinals=span(0, 10))])
    during = wire.pool()
    assert during.agents == before.agents + 1000
    assert during.agents_free == before.agents_free - 1000
    assert during.bytes_used == before.bytes_used + 10 * 4096
    assert during.device == "cpu"
    wire.agents.Retire(ag.RetireRequest(name=joe))
    assert wire.pool() == before


def test_a_fork_goes_its_own_way(wire: Wire) -> None:
    joe = wire.start(3, seed=1)
    wire.act([ag.ActRequest(cohort=joe)] * 3)
    forked = wire.agents.Fork(
        ag.ForkRequest(name=joe, ordinals=packed(2, 0), copies=20, cohort_id=new_name(), seed=9)
    ).cohort
    assert (forked.count, forked.parent, forked.seed, forked.state_bytes) == (40, joe, 9, 0)
    assert (forked.min_step, forked.max_step) == (3, 3)
    actions = np.stack([array(answer.action) for answer in wire.act([ag.ActRequest(cohort=forked.name)] * 30)])
    assert len(np.unique(actions, axis=1).T) > 30
    assert wire.cohort(joe).max_step == 3


def test_who_is_retired_is_gone(wire: Wire) -> None:
    joe = wire.start(4)
    assert wire.agents.Retire(ag.RetireRequest(name=joe, ordinals=packed(3, 1))).retired == 2
    assert (wire.cohort(joe).alive, wire.cohort(joe).count) == (2, 4)
    [gone, rest] = wire.act([ag.ActRequest(cohort=joe, ordinals=packed(1)), ag.ActRequest(cohort=joe)])
    assert gone.error.reason == "UNKNOWN_AGENT"
    assert array(rest.action).shape == (2,)
    assert wire.agents.Retire(ag.RetireRequest(name=joe)).retired == 2
    assert all(cohort.name != joe for cohort in wire.agents.ListCohorts(ag.ListCohortsRequest()).cohorts)


def test_a_snapshot_comes_back(wire: Wire, server: Any) -> None:
    joe, name = wire.start(6, seed=4), new_name()
    wire.act([ag.ActRequest(cohort=joe, ordinals=span(0, 4))] * 3)
    wire.agents.Retire(ag.RetireRequest(name=joe, ordinals=packed(5)))
    saved = wire.save(joe, name)
    folder = Path(server.folder) / "data" / "snapshots" / name
    assert (saved.name, saved.cohort, saved.agents, saved.count) == (f"snapshots/{name}", joe, 5, 6)
    assert saved.bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert saved.digest == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert folder.stat().st_mode & 0o077 == 0, "others on the machine can read it"
    again = wire.restore(saved.name, new_name())
    assert (again.count, again.alive, again.parent, again.seed) == (6, 5, joe, 4)
    assert (again.min_step, again.max_step) == (0, 3)
    lives = [wire.act([ag.ActRequest(cohort=cohort)] * 10) for cohort in (joe, again.name)]
    assert [answer.action for answer in lives[0]] == [answer.action for answer in lives[1]]


def test_a_damaged_snapshot_is_data_loss(wire: Wire, server: Any) -> None:
    joe, name = wire.start(2), new_name()
    wire.act([ag.ActRequest(cohort=joe)])
    wire.save(joe, name)
    pages = Path(server.folder) / "data" / "snapshots" / name / "pages-00000.safetensors"
    pages.write_bytes(pages.read_bytes()[:-1])
    before = wire.pool()
    refused = refusal(lambda: wire.restore(f"snapshots/{name}", new_name()))
    assert (refused.code, refused.reason) == ("DATA_LOSS", "DAMAGED_SNAPSHOT")
    assert "pages-00000.safetensors was altered or cut short" in refused.message
    assert wire.pool() == before
    taken = refusal(lambda: wire.save(joe, name))
    assert (taken.code, taken.reason) == ("ALREADY_EXISTS", "ALREADY_EXISTS")
