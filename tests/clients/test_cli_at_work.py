"""`plures` as people use it all day: short forms, single steps, watching, completion."""

import json
import subprocess
import sys
from importlib.metadata import requires
from typing import Any

import pytest
from click.testing import CliRunner
from plures_client.cli import main


@pytest.fixture
def plures(server: Any) -> Any:
    def run(*arguments: Any, fails: bool = False) -> str:
        done = CliRunner().invoke(main, ["--server", server.address, *map(str, arguments)])
        assert (done.exit_code != 0) == fails, done.stderr or done.exception
        return done.stderr if fails else done.stdout

    return run


def test_a_cohort_is_started_forked_stepped_and_retired_in_short(plures: Any, name: str) -> None:
    started = json.loads(plures("start", name, "--student", "bandit", "--count", 4, "--horizon", "reanchor", "--json"))
    assert started[0]["horizon_policy"] == "reanchor"
    acted = json.loads(plures("act", name, "--ordinals", "1-2", "--reward", 1, "--action", 0, "--json"))
    assert (acted["action"], acted["step"], acted["beyond_horizon"]) == ([0, 0], [1, 1], 0)
    assert "its chance" in plures("act", name, "--done", "--observation", 0)
    plures("fork", name, f"{name}-f", "--ordinals", 0)
    for one, agents in ((name, 4), (f"{name}-f", 1)):
        assert plures("retire", one) == f"{agents} agents retired\n"


def test_who_is_retired_neither_steps_nor_lends_its_name(plures: Any, name: str) -> None:
    plures("start", name, "--student", "bandit", "--count", 4)
    plures("retire", name, "--ordinals", "1-2")
    shown = plures("act", name, "--reward", 1).splitlines()
    assert [line.split()[0] for line in shown] == ["agent", "0", "3"]
    plures("retire", name)


def test_watching_shows_the_pool_its_cohorts_and_queues(plures: Any, cohort: Any) -> None:
    shown = plures("watch", "--times", 1, "--queue", "nobodys")
    for word in ("pool", "steps/s", "cohorts", cohort.name, "warn"):
        assert word in shown
    cohort.act()
    first, second = map(json.loads, plures("watch", "--times", 2, "--every", 0.1, "--json").splitlines())
    assert first["steps_per_second"] is None
    assert second["steps_per_second"] == 0
    assert second["pool"]["agent_steps"] >= 100
    assert cohort.name in [one["name"] for one in second["cohorts"]]


def test_students_are_loaded_and_unloaded(plures: Any) -> None:
    assert json.loads(plures("students", "load", "bandit", "--json"))[0]["version"] == 1
    said = plures("students", "unload", "nobody", fails=True)
    assert said.splitlines() == ["Error: no student 'nobody' is loaded; loaded: bandit"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(plures: Any, shell: str) -> None:
    assert "_PLURES_COMPLETE" in plures("completion", shell)


def test_nothing_that_the_client_imports_is_beyond_its_own_dependencies() -> None:
    light = {one.split(">")[0].split(";")[0].strip() for one in requires("plures") or () if "extra ==" not in one}
    assert light == {"click", "grpcio", "grpcio-status", "numpy", "protobuf", "rich"}
    code = "import json, sys, importlib.metadata as m, plures_client.client, plures_client.aio.client, rich.live\n"
    code += "tops = {name.partition('.')[0] for name in sys.modules}\n"
    code += "print(json.dumps({top: ds for top, ds in m.packages_distributions().items() if top in tops}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    # What theirs need in turn.
    inner = {"googleapis-common-protos", "markdown-it-py", "mdurl", "pygments", "typing_extensions"}
    known = light | inner | {"plures"}
    foreign = {top: of for top, of in json.loads(told).items() if not known & {one.lower() for one in of}}
    # gRPC imports its own extensions where they are installed, and does without them where they are not.
    assert not {top for top in foreign if not top.startswith(("_", "grpc_"))}
