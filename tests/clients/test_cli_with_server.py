"""The `plures` command against a real server process."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from plures_client import Items
from plures_client.cli import main


@pytest.fixture
def plures(server):
    def run(*arguments):
        done = CliRunner().invoke(main, ["--server", server.address, *map(str, arguments)])
        assert done.exit_code == 0, done.stderr or done.exception
        return done.stdout

    return run


@pytest.fixture
def plures_json(plures):
    return lambda *arguments: json.loads(plures(*arguments, "--json"))


def test_students_tasks_and_the_pool_are_shown(plures, plures_json):
    assert "bandit" in plures("students")
    assert plures_json("students")[0]["action_space"] == {"type": "Discrete", "n": 2}
    assert "p_0, p_1" in plures("tasks")
    assert plures_json("tasks")[0]["parameters"] == ["p_0", "p_1"]
    assert "cpu" in plures("pool")
    pool = plures_json("pool")
    assert pool["bytes_capacity"] > 0
    assert [(tier["name"], tier["bytes_used"]) for tier in pool["tiers"]] == [("device", pool["bytes_used"])]


def test_a_cohort_lives_its_life_by_commands(plures, plures_json, name):
    assert plures_json("cohorts", "start", name, "--student", "bandit", "--count", 50, "--seed", 3)[0]["alive"] == 50
    ran = plures_json("run", name, "bandit", "--param", "p_0=0", "--param", "p_1=1", "--steps", 20)
    assert (ran["agents"], ran["agent_steps"]) == (50, 1000)
    assert ran["summary"]["rewards_0"] == {"mean": 0.0, "min": 0.0, "max": 0.0}
    [fork] = plures_json("cohorts", "fork", name, f"{name}-f", "--ordinals", "0-4", "--copies", 2)
    assert (fork["count"], fork["min_step"], fork["parent"]) == (10, 20, name)
    assert plures_json("cohorts", "snapshot", name, name)["agents"] == 50
    assert plures_json("cohorts", "restore", name, f"{name}-r")[0]["alive"] == 50
    assert name in plures("cohorts", "list")
    assert {cohort["name"] for cohort in plures_json("cohorts", "list")} >= {name, f"{name}-f", f"{name}-r"}
    assert plures_json("cohorts", "retire", name, "--ordinals", "7") == {"retired": 1}
    for ended, agents in ((name, 49), (f"{name}-f", 10), (f"{name}-r", 50)):
        assert plures("cohorts", "retire", ended) == f"{agents} agents retired\n"


def test_a_run_is_summed_up_for_people(plures, cohort):
    told = plures("run", cohort.name, "bandit", "--param", "p_0=1", "--param", "p_1=1", "--steps", 10)

    assert "100 agents, 1,000 steps" in told
    assert "late_pulls_1" in told


def test_a_queue_is_looked_at_read_and_removed(plures, plures_json, client, cohort, name):
    queue = client.queue(name)
    queue.enqueue(Items.of("bandit", np.full((300, 2), 1.0), steps=2, seed=1))
    assert plures_json("queue", "stats", name)["ready"] == 300
    assert plures_json("queue", "stats", name) in plures_json("queue", "list")
    assert name in plures("queue", "list")
    assert plures("queue", "results", name) == ""
    queue.attach(cohort.name, keep="nothing")
    assert sum(len(batch.item) for batch in _some(queue.results(), 300)) == 300

    lines = [json.loads(line) for line in plures("queue", "results", name).splitlines()]
    assert sorted(line["item"] for line in lines) == list(range(300))
    assert all(line["cohort"] == cohort.name and len(line["summary"]) == 6 for line in lines)
    assert cohort.name in plures("queue", "stats", name)
    assert plures("queue", "delete", name) == ""
    done = CliRunner().invoke(main, ["--server", client.address, "queue", "stats", name])
    assert done.exit_code == 1
    assert name in done.stderr


def test_a_queue_is_overseen_from_the_command_line(plures, plures_json, client, name):
    queue = client.queue(name)
    queue.enqueue(Items.of("bandit", np.full((7, 2), 1.0), steps=2, seed=1), submit_id="one")
    queue.enqueue(Items.of("bandit", np.full((5, 2), 1.0), steps=2, seed=1), submit_id="two")
    plures("queue", "pause", name)
    assert plures_json("queue", "stats", name)["paused"]
    plures("queue", "resume", name)
    assert plures("queue", "cancel", name, "--submission", "one") == "7 items cancelled\n"
    assert plures("queue", "cancel", name) == "5 items cancelled\n"
    assert plures("queue", "dead", name) == ""
    assert plures("queue", "requeue", name) == "0 items are on the queue again\n"
    assert plures_json("queue", "stats", name)["cancelled"] == 12
    queue.delete()


def _some(batches, count):
    for batch in batches:
        yield batch
        count -= len(batch.item)
        if count <= 0:
            return


def test_the_installed_command_ends_with_status_1_and_one_sentence(server):
    command = [Path(sys.executable).parent / "plures", "--server", server.address, "cohorts", "retire", "nobody"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert "nobody" in done.stderr
    assert "Traceback" not in done.stderr
