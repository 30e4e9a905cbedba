"""Named states that go to the disk together: seen at once, kept when a process dies, older after a loss of power."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from plures_kernels.errors import InvalidArgument
from plures_server.vllm.states import Facts, State, StateFolder, UnknownState
from plures_server.vllm.states.syncing import Syncer

from .helpers import wait_until

SAVING = """
import sys
from pathlib import Path
import torch
from plures_server.vllm.states import Facts, State, StateFolder
states = StateFolder(Path(sys.argv[1]))
for value in range(1 << 30):
    states.save("joe", State(Facts("m", value).renewed(), {"x": torch.full((1000,), float(value))}), durable=False)
    print(value, flush=True)
"""


def state(value: float = 1.0) -> State:
    return State(Facts("m", int(value)).renewed(), {"x": torch.full((64,), float(value))})


def value(states: StateFolder, name: str = "joe") -> float:
    return float(states.load(name).tensors["x"].mean())


def recent(states: StateFolder) -> list[str]:
    return sorted(path.name for path in (states.path / ".recent").iterdir())


@pytest.fixture
def states(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "states")


def test_what_is_not_on_the_disk_yet_is_seen_by_everyone(states: StateFolder) -> None:
    states.save("joe", state(1))
    states.save("joe", state(2), durable=False)
    states.save("ann", state(3), durable=False)
    other = StateFolder(states.path)
    assert (value(other), value(other, "ann"), other.names()) == (2, 3, ["ann", "joe"])
    assert other.facts("joe") == states.facts("joe")
    other.fork("ann", "twin")
    other.delete("ann")
    with pytest.raises(UnknownState):
        states.load("ann")
    assert value(states, "twin") == 3


def test_after_a_sync_all_is_on_the_disk(states: StateFolder) -> None:
    states.save("joe", state(1))
    states.save("joe", state(2), durable=False)
    states.save("ann", state(3), durable=False)
    states.sync()
    assert recent(states) == []
    assert sorted(path.name for path in states.path.glob("*.state")) == ["ann.state", "joe.state"]
    assert (value(states), value(states, "ann")) == (2, 3)


def test_what_a_power_cut_tore_gives_way_to_what_was_on_the_disk(states: StateFolder) -> None:
    states.save("joe", state(1))
    for name in ("joe", "ann", "eve"):
        states.save(name, state(2), durable=False)
    for name in ("joe", "ann"):
        file = states.path / ".recent" / f"{name}.state"
        file.write_bytes(file.read_bytes()[:-8])
    with states.served():
        assert (value(states), value(states, "eve"), states.names()) == (1, 2, ["eve", "joe"])
        assert recent(states) == []


def test_a_durable_save_comes_after_a_recent_one(states: StateFolder) -> None:
    states.save("joe", state(1), durable=False)
    states.save("joe", state(2))
    states.sync()
    assert value(states) == 2


def test_whoever_is_killed_has_lost_nothing_that_was_published(states: StateFolder) -> None:
    with subprocess.Popen([sys.executable, "-c", SAVING, str(states.path)], stdout=subprocess.PIPE, text=True) as saver:
        assert saver.stdout is not None
        published = [int(saver.stdout.readline()) for _ in range(200)][-1]
        saver.kill()
    with states.served():
        assert value(states) >= published
        assert value(states) == states.facts("joe").tokens


def test_a_name_that_is_always_being_saved_reaches_the_disk_too(states: StateFolder) -> None:
    """Each sync finds another file than the one that it began with."""
    done = threading.Event()

    def save() -> None:
        for number in range(1, 1 << 30):
            states.save("joe", state(number), durable=False)
            if done.is_set():
                return

    saver = threading.Thread(target=save)
    saver.start()
    try:
        wait_until(lambda: states.has("joe"))
        for _ in range(5):
            before = states.facts("joe").tokens
            states.sync()
            on_disk = StateFolder(states.path)._shelf._places("joe")[1]
            assert on_disk.exists()
            assert states.facts("joe").tokens >= before
    finally:
        done.set()
        saver.join()
    assert not list(states.path.rglob("*.partial"))


def test_saves_reach_the_disk_at_the_interval(states: StateFolder) -> None:
    syncer = Syncer(states, 0.05, 1 << 20)
    syncer.save("joe", state(1), now=False)
    wait_until(lambda: (states.path / "joe.state").exists())
    syncer.close()
    assert (value(states), recent(states)) == (1, [])


def test_saves_reach_the_disk_at_the_end_on_demand_and_beyond_the_bound(states: StateFolder) -> None:
    syncer = Syncer(states, 3600, most_bytes=2 * state().nbytes)
    syncer.save("demanded", state(), now=True)
    for number in range(3):
        syncer.save(f"agent-{number}", state(number), now=False)
    assert recent(states) == ["agent-0.state", "agent-1.state"]
    syncer.close()
    assert recent(states) == []
    assert states.names() == ["agent-0", "agent-1", "agent-2", "demanded"]


def test_without_an_interval_each_save_is_on_the_disk(states: StateFolder) -> None:
    syncer = Syncer(states, 0, 1 << 20)
    syncer.save("joe", state(), now=False)
    assert recent(states) == []
    syncer.close()


@pytest.mark.parametrize("wrong", [-1, "often", None, float("inf"), True])
def test_an_interval_that_is_none_is_refused(wrong: object) -> None:
    pytest.importorskip("vllm")
    from plures_server.vllm.states.working import Keeping

    with pytest.raises(InvalidArgument, match="sync_seconds"):
        Keeping.of({"folder": "states", "sync_seconds": wrong})
