"""The client's side of merging, becoming, lineages and snapshots, against a real server process."""

import numpy as np
import pytest
from plures_client import Client, Life
from plures_client.errors import AlreadyExists, DataLoss, FailedPrecondition, InvalidArgument, NotFound
from plures_client.life import parts


def life(steps, seed):
    random = np.random.default_rng(seed)
    return Life(random.integers(0, 2, steps), random.random(steps), random.random(steps) < 0.1)


def test_agents_become_who_lived_a_life(client, cohort, name):
    lives = [life(300, 1), life(40, 2), life(1, 3)]
    told = []
    became = cohort.become(lives, [7, 3, 5], want_log_probs=True, on_progress=lambda *at: told.append(at))
    twin = client.cohorts.start(f"{name}-b", student="bandit", count=100, seed=7)
    for agent, one in zip([7, 3, 5], lives, strict=True):
        reward, done = np.roll(one.reward, 1), np.roll(one.done, 1)
        reward[0], done[0] = 0, 0
        steps = zip(one.action, reward, done, strict=True)
        said = [
            twin.act([agent], action=[a], reward=[r], done=[d], want_log_probs=True).log_probs[0, a]
            for a, r, d in steps
        ]
        np.testing.assert_array_equal(said, became.log_probs[[7, 3, 5].index(agent)])
    ahead = cohort.act([7, 3, 5], want_log_probs=True).log_probs
    last = [one.reward[-1] for one in lives]
    np.testing.assert_array_equal(ahead, twin.act([7, 3, 5], reward=last, want_log_probs=True).log_probs)
    assert became.agent_steps == 341
    assert told[-1] == (341, 341)
    assert [event.kind for event in cohort.lineage([3]).events] == ["birth", "become"]
    twin.retire()


def test_lives_that_do_not_fit_are_refused(cohort):
    with pytest.raises(InvalidArgument, match="2 lives given for 3 agents"):
        cohort.become([life(3, 1), life(3, 2)], range(3))
    with pytest.raises(InvalidArgument, match=r"reward of shape \(2,\) given for 3 actions"):
        Life([0, 1, 0], [1, 0])
    with pytest.raises(InvalidArgument, match="at least one"):
        Life([])
    with pytest.raises(InvalidArgument, match="action 7 in row 2 of the life of agent 4"):
        cohort.become(Life([0, 1, 7]), [4])
    assert cohort.describe().max_step == 0


def test_parts_of_lives_are_each_step_once():
    lives = [life(steps, 0) for steps in (5, 1, 900, 37, 900)]
    seen = [np.zeros(len(one), int) for one in lives]
    for part in parts(lives, chunk_bytes=16 * 5 * 100):
        for place in part.places:
            seen[place][part.steps] += 1
    assert all((each == 1).all() for each in seen)


def test_merged_agents_come_from_all_members(client, cohort, name):
    cohort.act(reward=np.arange(100) % 2)
    young = cohort.fork(f"{name}-y", [4, 9], copies=2)
    young.act(reward=[0, 1, 1, 0])
    cohort.act(range(10))
    merged = client.cohorts.merge(
        f"{name}-m", {young.name: [0, 3], cohort.name: 9}, weights={young.name: [1, 1], cohort.name: [0.5]}
    )
    mean = young.merge(f"{name}-n", copies=3, seed=5)

    assert (mean.describe().count, mean.describe().seed, mean.describe().parent) == (3, 5, young.name)
    told = merged.lineage()
    assert [event.kind for event in told.events] == ["birth", "fork", "merge"]
    assert told.events[0].ordinals.tolist() == [4, 9]
    assert [(parents.cohort, parents.weights.tolist()) for parents in told.events[2].parents] == [
        (cohort.name, [0.5]),
        (young.name, [1, 1]),
    ]
    assert [event.ordinals.tolist() for event in young.lineage().of(2)] == [[9], [2]]
    with pytest.raises(InvalidArgument, match="weights given for x, of which no agents are merged"):
        client.cohorts.merge("y", {cohort.name: None}, weights={"x": [1]})
    for each in (young, merged, mean):
        each.retire()


def test_snapshots_are_picked_listed_carried_and_deleted(client, cohort, name, tmp_path, launch_server):
    cohort.act()
    told = []
    written = cohort.snapshot(name, [8, 2, 5], on_progress=lambda *at: told.append(at))
    assert written in client.snapshots.list()
    assert (written.cohort, written.student, written.agents) == (cohort.name, "bandit", 3)
    folder = client.snapshots.download(name, tmp_path / "carried", on_progress=lambda *at: told.append(at))
    assert told[-1] == (written.bytes, written.bytes)
    with pytest.raises(AlreadyExists, match="carried exists"):
        client.snapshots.download(name, folder)
    with Client(launch_server().address) as other:
        assert other.snapshots.upload(folder, "uploaded").digest == written.digest
        assert client.snapshots.copy(name, other.snapshots).digest == written.digest
        with pytest.raises(AlreadyExists):
            client.snapshots.copy(name, other.snapshots)
        with pytest.raises(NotFound):
            client.snapshots.copy("never-written", other.snapshots, "x")
        (folder / "agents.safetensors").write_bytes(b"junk")
        with pytest.raises(DataLoss, match="altered or cut short"):
            other.snapshots.upload(folder, "damaged")
        with pytest.raises(NotFound, match=r"no manifest\.json"):
            other.snapshots.upload(tmp_path)
        there = other.snapshots.restore(name, "there", [2, 0])
        ahead = np.stack([there.act().action for _ in range(20)])
        np.testing.assert_array_equal(ahead, np.stack([cohort.act([5, 8]).action for _ in range(20)]))
        assert [each.name for each in other.snapshots.list()] == sorted([name, "uploaded"])
    one, two = (client.snapshots.restore(name, f"{name}-{n}") for n in range(2))
    with pytest.raises(FailedPrecondition, match="restored apart"):
        client.cohorts.merge("x", {one.name: None, two.name: None})
    client.cohorts.merge(f"{name}-m", {one.name: None, two.name: None}, from_newborn=True).retire()
    for each in (one, two):
        each.retire()
    client.snapshots.delete(name)
    with pytest.raises(NotFound):
        client.snapshots.delete(name)
