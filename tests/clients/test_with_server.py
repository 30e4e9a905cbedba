"""The client against a real server process."""

import asyncio
from contextlib import aclosing

import numpy as np
import pytest
from plures_client import AsyncClient, Client, Durability, Items
from plures_client.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PluresClientError,
    Unavailable,
)
from plures_client.results import RunProgress, RunRecord

BANDIT = {"p_0": 0.2, "p_1": 0.8}


def items(count, *, steps=4, seed=1):
    return Items.of("bandit", np.tile([0.2, 0.8], (count, 1)), steps=steps, seed=seed)


def test_students_and_tasks_say_what_they_are(client):
    [student] = client.students.list()
    [task] = [task for task in client.tasks.list() if task.name == "bandit"]

    assert student == client.students.get("bandit") == client.students.get("students/bandit")
    assert student.action_space == task.action_space == {"type": "Discrete", "n": 2}
    assert student.teacher_seconds_per_decision == 0.37
    assert student.parameters > 0
    assert task == client.tasks.get("bandit")
    assert "late_pulls_1" in task.summary


def test_a_cohort_is_born_described_listed_and_retired(client, name):
    before = client.pool()
    cohort = client.cohorts.start(name, student="bandit", count=1000, seed=3)

    assert (cohort.describe().alive, cohort.describe().seed, cohort.describe().parent) == (1000, 3, None)
    assert cohort.describe() in client.cohorts.list()
    assert client.pool().agents == before.agents + 1000
    assert cohort.retire(range(10)) == 10
    assert cohort.describe().alive == 990
    assert cohort.retire() == 990
    with pytest.raises(NotFound) as caught:
        cohort.describe()
    assert caught.value.reason == "UNKNOWN_COHORT"


def test_refusals_arrive_as_exceptions_with_the_servers_words(client, cohort):
    with pytest.raises(AlreadyExists, match=cohort.name):
        client.cohorts.start(cohort.name, student="bandit", count=1)
    with pytest.raises(NotFound, match="nobody") as caught:
        client.cohorts.start("x", student="nobody", count=1)
    assert caught.value.reason == "UNKNOWN_STUDENT"
    with pytest.raises(InvalidArgument, match="Not-A-Name"):
        client.cohorts.start("Not-A-Name", student="bandit", count=1)
    with pytest.raises(NotFound, match="no task chess; the server knows"):
        cohort.run("chess", BANDIT, steps=1).result()
    with pytest.raises(NotFound) as caught:
        cohort.act([100])
    assert caught.value.reason == "UNKNOWN_AGENT"
    with pytest.raises(NotFound):
        client.snapshots.restore("never-written", "x")
    with pytest.raises(NotFound):
        client.queue("never-begun").stats()
    with pytest.raises(InvalidArgument, match="keep='all'"):
        client.queue("never-begun").attach(cohort.name, keep="all")


def test_agents_act_and_what_they_see_counts(cohort):
    first = cohort.act(want_log_probs=True)
    cohort.act(range(50), reward=np.ones(50))
    later = cohort.act(observation=np.zeros(100, int), want_log_probs=True)

    assert first.action.shape == (100,)
    assert set(first.action.tolist()) <= {0, 1}
    np.testing.assert_allclose(np.exp(first.log_probs).sum(axis=1), 1, rtol=1e-5)
    assert not np.array_equal(first.log_probs, later.log_probs)
    assert (cohort.describe().min_step, cohort.describe().max_step) == (2, 3)


def test_a_step_is_the_same_alone_among_others_and_pipelined(client, cohort, name):
    twin = client.cohorts.start(f"{name}-b", student="bandit", count=100, seed=7)
    together = [cohort.act(reward=np.full(100, step)) for step in range(3)]
    with twin.act_stream() as stream:
        pending = [
            [stream.send(part, reward=np.full(50, step)) for part in (range(50), range(50, 100))] for step in range(3)
        ]
        apart = [np.concatenate([each.result().action for each in step]) for step in pending]
    twin.retire()

    for whole, halves in zip(together, apart, strict=True):
        np.testing.assert_array_equal(whole.action, halves)


def test_teacher_forcing_makes_agents_take_the_given_actions(cohort):
    actions = np.arange(100) % 2

    np.testing.assert_array_equal(cohort.act(action=actions).action, actions)


def test_a_run_tells_its_progress_its_records_and_its_result(cohort):
    with cohort.run("bandit", BANDIT, steps=30, seed=2, record=3) as run:
        events = list(run)
        result = run.result()

    progress = [event for event in events if isinstance(event, RunProgress)]
    assert (progress[-1].tick, progress[-1].ticks, progress[-1].agent_steps) == (30, 30, 3000)
    assert any(isinstance(event, RunRecord) for event in events)
    assert result.summary.shape == (100, 6)
    assert result.actions.shape == result.rewards.shape == (30, 3)
    assert result.agent_steps == 3000
    np.testing.assert_array_equal(result.column("pulls_0") + result.column("pulls_1"), 30)
    np.testing.assert_array_equal(result.actions.sum(axis=0), result.column("pulls_1")[:3])
    wins = result.column("rewards_0") + result.column("rewards_1")
    np.testing.assert_array_equal(result.rewards.sum(axis=0), wins[:3])


def test_each_agent_of_a_run_may_have_a_world_and_a_length_of_its_own(cohort):
    worlds = {"p_0": np.repeat([0.0, 1.0], 50), "p_1": np.repeat([1.0, 0.0], 50)}
    result = cohort.run("bandit", worlds, steps=np.repeat([20, 10], 50)).result()

    np.testing.assert_array_equal(result.column("pulls_0") + result.column("pulls_1"), np.repeat([20, 10], 50))
    np.testing.assert_array_equal(result.column("rewards_0")[:50], 0)
    np.testing.assert_array_equal(result.column("rewards_1")[50:], 0)


def test_only_those_named_run_in_the_order_named(cohort):
    result = cohort.run("bandit", {"p_0": [0.0, 1.0], "p_1": [1.0, 0.0]}, steps=5, ordinals=[9, 4]).result()

    assert len(result.summary) == 2
    assert result.column("rewards_0")[0] == result.column("rewards_1")[1] == 0
    assert (cohort.describe().min_step, cohort.describe().max_step) == (0, 5)


def test_a_run_that_is_left_ends_on_the_server_and_its_steps_stay_made(client, name):
    cohort = client.cohorts.start(name, student="bandit", count=20_000, seed=1)
    with cohort.run("bandit", BANDIT, steps=1_000_000) as run:
        assert next(iter(run)).tick < 1_000_000
    with pytest.raises(FailedPrecondition, match="ended before its summary"):
        run.result()

    # Were the run still going on, its agents would be busy.
    wait_until(lambda: cohort.retire() == 20_000)


def wait_until(ready):
    for _ in range(200):
        try:
            assert ready()
            return
        except FailedPrecondition:
            continue
    raise AssertionError("never became so")


def test_wrong_parameters_are_refused_with_their_names(cohort):
    with pytest.raises(InvalidArgument, match="parameters p_0 given; the task takes p_0, p_1"):
        cohort.run("bandit", {"p_0": 0.5}, steps=1).result()
    with pytest.raises(InvalidArgument, match="not a probability"):
        cohort.run("bandit", [0.5, 1.5], steps=1).result()
    with pytest.raises(InvalidArgument):
        cohort.run("bandit", BANDIT, steps=0).result()


def test_forks_go_on_from_where_their_originals_are(cohort, name):
    cohort.run("bandit", BANDIT, steps=20).result()
    fork = cohort.fork(f"{name}-f", [3, 5], copies=10, seed=1)
    heard = fork.act(want_log_probs=True)
    original = cohort.act([3, 5], want_log_probs=True)

    assert fork.describe().count == 20
    assert fork.describe().min_step == 21
    np.testing.assert_array_equal(heard.log_probs, np.repeat(original.log_probs, 10, axis=0))
    fork.retire()


def test_a_snapshot_restores_to_the_same_agents(client, cohort, name):
    cohort.run("bandit", BANDIT, steps=10).result()
    written = cohort.snapshot(name)
    restored = client.snapshots.restore(name, f"{name}-r")

    assert written.agents == 100
    assert len(written.digest) == 64
    ahead = [(each.act().action, each.act(reward=np.ones(100)).action) for each in (cohort, restored)]
    np.testing.assert_array_equal(*ahead)
    restored.retire()


def test_items_are_done_once_each_and_results_can_be_read_again(client, cohort, name):
    queue = client.queue(name)
    submitted = queue.enqueue(items(1000), submit_id="first")
    repeated = queue.enqueue(items(1000), submit_id="first")
    queue.attach(cohort.name, keep="nothing")
    batches = collect(queue, 1000)

    assert (submitted.accepted, submitted.duplicate) == (1000, False)
    assert repeated.duplicate
    assert sorted(np.concatenate([batch.item for batch in batches]).tolist()) == list(range(1000))
    assert all(batch.cohort == cohort.name and batch.summary.shape == (len(batch.item), 6) for batch in batches)
    assert max(batch.ordinal.max() for batch in batches) < 100
    assert (queue.stats().done, queue.stats().ready, queue.stats().attached) == (1000, 0, (cohort.name,))
    again = collect(queue, 1000 - len(batches[0].item), batches[0].cursor)
    assert [batch.cursor for batch in again] == [batch.cursor for batch in batches[1:]]
    queue.detach(cohort.name)
    assert queue.stats().attached == ()
    queue.delete()
    with pytest.raises(NotFound):
        queue.stats()


def collect(queue, count, cursor=""):
    batches = []
    for batch in queue.results(cursor):
        batches.append(batch)
        count -= len(batch.item)
        if count <= 0:
            break
    return batches


def test_a_large_submission_goes_in_parts_and_counts_as_one(client, name):
    queue = client.queue(name)
    submitted = queue.enqueue(items(100_000, steps=1), submit_id="crowd")

    assert submitted.accepted == queue.stats().ready == 100_000
    assert queue.enqueue(items(100_000, steps=1), submit_id="crowd").duplicate
    assert queue.stats().ready == 100_000
    queue.delete()


def test_items_that_are_refused_are_not_on_the_queue(client, name):
    with pytest.raises(PluresClientError):
        client.queue(name).enqueue(Items.of("bandit", np.zeros((3, 2)), steps=0, seed=1))
    with pytest.raises(NotFound):
        client.queue(name).stats()


async def test_many_calls_of_one_asyncio_client_go_at_once(server, name):
    async with AsyncClient(server.address) as client:
        names = [f"{name}-{n}" for n in range(20)]
        cohorts = await asyncio.gather(
            *(client.cohorts.start(each, student="bandit", count=10, seed=1) for each in names)
        )
        results = await asyncio.gather(*(cohort.run("bandit", BANDIT, steps=5).result() for cohort in cohorts))
        await asyncio.gather(*(cohort.retire() for cohort in cohorts))

    for result in results:
        np.testing.assert_array_equal(result.summary, results[0].summary)


async def test_results_come_to_who_waits_for_them(server, name):
    async with AsyncClient(server.address) as client:
        cohort = await client.cohorts.start(name, student="bandit", count=10)
        queue = client.queue(name)
        await queue.enqueue(items(1))
        async with aclosing(queue.results()) as batches:
            waiting = asyncio.ensure_future(anext(batches))
            await queue.attach(name, keep="learning")
            batch = await asyncio.wait_for(waiting, 10)
        assert batch.item.tolist() == [0]
        await queue.delete()
        await cohort.retire()


def test_a_server_that_is_gone_is_told_apart_from_one_that_refuses(launch_server):
    server = launch_server()
    with Client(server.address) as client:
        client.ready()
        server.kill()
        with pytest.raises(Unavailable, match=f"no Plures server answers at {server.address}"):
            client.students.list()


def test_what_outlives_the_server_is_said_at_the_start_and_inherited(client, name):
    cohort = client.cohorts.start(name, student="bandit", count=2, durability="log")
    assert cohort.describe().durability.level == "log"
    assert cohort.fork(f"{name}-f").describe().durability.level == "log"
    assert cohort.fork(f"{name}-n", durability="none").describe().durability.level == "none"
    often = Durability("snapshot", every_seconds=5, every_steps=100)
    assert cohort.fork(f"{name}-s", durability=often).describe().durability == often
    for ended in (name, f"{name}-f", f"{name}-n", f"{name}-s"):
        client.cohort(ended).retire()


def test_agents_say_how_many_steps_they_have_behind_them(cohort):
    before = cohort.act(want_steps=True).step
    after = cohort.act(want_steps=True).step
    assert (after - before).tolist() == [1] * 100
    assert cohort.act().step is None


@pytest.mark.parametrize(
    "durability", ["often", Durability("log", every_seconds=3), Durability("snapshot", every_steps=-1)]
)
def test_a_durability_that_makes_no_sense_is_refused(client, name, durability):
    with pytest.raises(InvalidArgument):
        client.cohorts.start(name, student="bandit", count=2, durability=durability)
