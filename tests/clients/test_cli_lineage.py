"""`plures merge`, `become`, `lineage` and `snapshots` against real server processes."""

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from plures_client import Client, Life
from plures_client.cli import main
from plures_client.errors import InvalidArgument
from plures_client.life_files import read_lives


@pytest.fixture
def plures(server):
    """Run a command: its outcome."""
    return lambda *arguments, at=server: CliRunner().invoke(main, ["--server", at.address, *map(str, arguments)])


@pytest.fixture
def plures_json(plures):
    def run(*arguments, **at):
        done = plures(*arguments, "--json", **at)
        assert done.exit_code == 0, done.stderr or done.exception
        return json.loads(done.stdout)

    return run


@pytest.fixture
def recorded(tmp_path):
    """Two lives, of ids 3 and 8, of 5 and 2 steps, in a folder."""
    columns = {
        "life": [3] * 5 + [8] * 2,
        "step": [0, 1, 2, 3, 4, 0, 1],
        "action": [0, 1, 1, 0, 1, 1, 1],
        "reward": [0.0, 1, 1, 0, 0, 1, 0],
        "done": [False, False, True, False, False, False, False],
    }
    (tmp_path / "lives").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "lives" / "lives.parquet")
    return tmp_path / "lives"


def test_agents_become_whose_lives_are_recorded(plures, plures_json, client, cohort, name, recorded):
    assert plures_json("become", cohort.name, recorded, "--ordinals", "4-5") == {"lives": 2, "agent_steps": 7}
    twin = client.cohorts.start(f"{name}-b", student="bandit", count=100, seed=7)
    twin.become(
        [Life([0, 1, 1, 0, 1], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0]), Life([1, 1], [1, 0])],
        [4, 5],
    )
    ours, theirs = (each.act([4, 5], want_log_probs=True) for each in (cohort, twin))
    np.testing.assert_array_equal(ours.log_probs, theirs.log_probs)
    twin.retire()
    told = plures("become", cohort.name, recorded / "lives.parquet", "--life", 8)
    assert told.stdout == "200 steps of 1 lives replayed\n"
    assert cohort.describe().min_step == 2


def test_lives_that_cannot_be_told_are_refused_in_one_sentence(plures, cohort, recorded, monkeypatch):
    none = plures("become", cohort.name, recorded, "--life", 4)
    assert (none.exit_code, none.stderr) == (1, f"Error: {recorded} has no life 4; its first is 3\n")
    few = plures("become", cohort.name, recorded, "--ordinals", "0-2")
    assert (few.exit_code, few.stderr) == (
        1,
        "Error: 2 lives given for 3 agents; give each agent one, or one for all\n",
    )
    (recorded / "lives.parquet").write_bytes(b"junk")
    assert "cannot be read as Parquet" in plures("become", cohort.name, recorded).stderr
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'plures[server]'" in plures("become", cohort.name, recorded).stderr
    assert cohort.describe().max_step == 0


def test_observations_have_the_shape_of_their_space(tmp_path):
    table = {"life": [1, 1], "action": [0, 1], "reward": [0.0, 0], "done": [False, False]}
    wide = {f"observation_{i}": [float(i), 10.0 + i] for i in range(12)}
    pq.write_table(pa.table({**table, **wide}), tmp_path / "wide")
    pq.write_table(pa.table({**table, "observation": [5, 6]}), tmp_path / "narrow")
    del table["done"]
    pq.write_table(pa.table(table), tmp_path / "short")

    assert read_lives(tmp_path / "wide", (3, 4))[1].observation[1, 2, 3] == 21
    assert read_lives(tmp_path / "narrow")[1].observation.tolist() == [5, 6]
    with pytest.raises(InvalidArgument, match="no column done; it has life, action, reward"):
        read_lives(tmp_path / "short")


def test_a_merged_cohort_tells_where_it_comes_from(plures, plures_json, cohort, name):
    cohort.act()
    young = cohort.fork(f"{name}-y", range(3))
    young.act()
    [merged] = plures_json("merge", f"{name}-m", young.name, f"{cohort.name}:0-9", "--weight", 1, "--copies", 2)
    assert (merged["alive"], merged["min_step"], merged["durability"]["level"]) == (2, 2, "none")
    events = plures_json("lineage", f"{name}-m", "--ordinals", 1)
    assert [event["kind"] for event in events] == ["birth", "fork", "merge"]
    assert [parents["weights"] for parents in events[2]["parents"]] == [[1.0] * 10, [1.0] * 3]
    assert f"{cohort.name}, {young.name}" in plures("lineage", f"{name}-m").stdout
    for ended in (young.name, f"{name}-m"):
        assert plures("cohorts", "retire", ended).exit_code == 0


def test_a_merged_cohort_that_is_logged_outlives_a_server_that_is_killed(plures_json, launch_server):
    server = launch_server()
    with Client(server.address) as client:
        joe = client.cohorts.start("joe", student="bandit", count=5, seed=1)
        joe.act()
        merged = plures_json("merge", "wiser", "joe", "--copies", 3, "--durability", "log", at=server)
        assert merged[0]["durability"]["level"] == "log"
        client.cohort("wiser").act(reward=[0, 1, 0])
        expected = client.cohort("wiser").fork("twins", durability="none").act(want_log_probs=True)
    server.kill()
    server.start()
    with Client(server.address) as client:
        assert [cohort.name for cohort in client.cohorts.list()] == ["wiser"]
        again = client.cohort("wiser").act(want_log_probs=True)
    np.testing.assert_array_equal(again.log_probs, expected.log_probs)


def test_snapshots_are_listed_carried_and_deleted(plures, plures_json, cohort, name, tmp_path):
    written = cohort.snapshot(name)
    assert name in [snapshot["name"] for snapshot in plures_json("snapshots", "list")]
    assert name in plures("snapshots", "list").stdout
    assert plures("snapshots", "download", name, tmp_path / "carried").stdout.startswith(f"{name} is in ")
    assert "exists; take another folder" in plures("snapshots", "download", name, tmp_path / "carried").stderr
    [uploaded] = plures_json("snapshots", "upload", tmp_path / "carried", f"{name}-b")
    assert (uploaded["name"], uploaded["digest"]) == (f"{name}-b", written.digest)
    assert plures_json("snapshots", "delete", f"{name}-b") == {"deleted": f"{name}-b"}
    assert plures("snapshots", "delete", name).stdout == f"{name} deleted\n"
    assert plures("snapshots", "delete", name).exit_code == 1
