"""Coordinators that are interrupted leave nothing behind; those that are killed are gone on with by other processes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from plures_client.coordinators import Map
from plures_client.errors import DataLoss, FailedPrecondition, NotFound

from .coordinating import STRATEGIES, Coins

SCRIPT = Path(__file__).with_name("coordinating.py")
WORK = {"map-reduce": (4000, 40), "best-of": (2000, 40), "particles": (100, 1_000)}
"""Items and steps: a second or so."""


@pytest.fixture
def coordinate(server, cohort):
    """Start a process that coordinates; each is waited for in the end."""
    started = []

    def begin(strategy, manifest=""):
        command = [sys.executable, SCRIPT, server.address, cohort.name, strategy, *WORK[strategy], manifest]
        process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(process, label):
    """Read on until it tells a line that begins so."""
    for line in process.stdout:
        if line.startswith(label):
            return
    raise AssertionError(f"it ended: {process.stderr.read()}")


def cohorts_of(client):
    return {cohort.name for cohort in client.cohorts.list()}


@pytest.mark.parametrize("strategy", ["map-reduce", "particles"])
def test_ctrl_c_ends_work_and_leaves_nothing(client, cohort, coordinate, strategy, tmp_path):
    before, manifest = cohorts_of(client), tmp_path / "manifest.json"
    process = coordinate(strategy, manifest)
    wait_for(process, "")
    name = json.loads(manifest.read_text())["name"]
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGINT or "KeyboardInterrupt" in complaint
    assert not manifest.exists()
    assert cohorts_of(client) == before
    with pytest.raises(NotFound):
        client.queue(name).stats()
    # Agents that still held items would be busy, and could not be retired.
    assert cohort.retire() == 100


LATER = {"map-reduce": "portion 2", "best-of": "attempts from 3", "particles": "round 3"}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_another_process_goes_on_where_one_was_killed(client, cohort, coordinate, strategy, tmp_path):
    before, manifest, told = cohorts_of(client), tmp_path / "manifest.json", []
    problem, make = Coins(*WORK[strategy]), STRATEGIES[strategy]
    killed = coordinate(strategy, manifest)
    wait_for(killed, LATER[strategy])
    killed.kill()
    killed.wait()
    assert len(json.loads(manifest.read_text())["entries"]) >= 2

    with pytest.raises(FailedPrecondition, match="is of another problem"):
        cohort.solve(make(manifest=manifest), Coins(50, 1))
    answer = cohort.solve(make(manifest=manifest, report=told.append), problem)

    if strategy == "particles":
        assert {step.label for step in told} <= {f"round {n}" for n in (3, 4, 5, 6)}, "no round is lived twice"
    assert not manifest.exists()
    assert cohorts_of(client) == before
    assert answer == cohort.solve(make(), problem), "as if nothing had happened"


def test_a_manifest_of_another_cohort_is_refused(cohort, tmp_path):
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"version": 1, "cohort": "jane", "name": "work-1", "entries": []}))
    with pytest.raises(FailedPrecondition, match="is of work by cohort jane"):
        cohort.solve(Map(manifest=manifest), Coins(5, 1))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 9, "cohort": "c", "name": "n", "entries": []}'])
def test_a_file_that_is_no_manifest_is_named(cohort, tmp_path, text):
    manifest = tmp_path / "manifest.json"
    manifest.write_text(text)
    with pytest.raises(DataLoss, match=r"manifest\.json is no manifest"):
        cohort.solve(Map(manifest=manifest), Coins(5, 1))
