"""Named states as files: whole or not there, confined to their folder, checked when read."""

import contextlib
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plures_kernels.errors import InvalidArgument
from plures_server.errors import AlreadyExists, DataFolderInUse, StorageFailed
from plures_server.vllm.states import DamagedState, Facts, State, StateFolder, StateMismatch, UnknownState
from plures_server.vllm.states.folder import check_name


def state(value: float = 1.0, model: str = "m", pending: tuple[int, ...] = ()) -> State:
    tensors = {
        "layers.0.0": torch.full((2, 3), float(value)),
        "layers.0.1": torch.full((4,), float(value), dtype=torch.bfloat16),
    }
    return State(Facts(model, 7, pending).renewed(), tensors)


def files(states: StateFolder) -> list[str]:
    """What there is of states, whole or half."""
    found = (path for path in states.path.rglob("*") if path.suffix in (".state", ".partial"))
    return sorted(str(path.relative_to(states.path)) for path in found)


@pytest.fixture
def states(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "states")


def test_what_is_saved_is_loaded(states: StateFolder) -> None:
    saved = state(0.5, pending=(3, 4))
    states.save("joe", saved)
    loaded = states.load("joe", "m")
    assert loaded.facts == saved.facts == states.facts("joe")
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in saved.tensors.items())
    assert states.names() == ["joe"]


@given(st.text())
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert (Path("/states") / f"{check_name(name)}.state").resolve().parent == Path("/states")


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a" * 129, "a\n", 3, None])
def test_a_name_that_is_none_is_refused(states: StateFolder, name: object) -> None:
    with pytest.raises(InvalidArgument, match="no name of a state"):
        states.load(name)  # type: ignore[arg-type]


def test_an_unknown_name_is_said(states: StateFolder) -> None:
    for call in (states.load, states.facts, states.delete, lambda name: states.fork(name, "b")):
        with pytest.raises(UnknownState, match="there is no state 'nobody'"):
            call("nobody")
    assert states.names() == files(states) == []


@pytest.mark.parametrize("place", [8, 60, -1])
def test_a_byte_that_changed_is_found(states: StateFolder, place: int) -> None:
    states.save("joe", state())
    file = states.path / "joe.state"
    data = bytearray(file.read_bytes())
    data[place] ^= 0x40
    file.write_bytes(data)
    with pytest.raises(DamagedState, match="'joe' is damaged"):
        states.load("joe")


@pytest.mark.parametrize("kept", [0, 5, 200, -8])
def test_a_file_that_was_cut_is_found(states: StateFolder, kept: int) -> None:
    states.save("joe", state())
    file = states.path / "joe.state"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DamagedState):
        states.load("joe")


def test_a_state_of_another_model_is_refused(states: StateFolder) -> None:
    states.save("joe", state(model="theirs"))
    with pytest.raises(StateMismatch, match="model theirs, and this is ours"):
        states.load("joe", "ours")


def test_a_save_that_fails_leaves_the_state_before(states: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    states.save("joe", state(1))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFailed, match="No space left"):
        states.save("joe", state(2))
    assert torch.equal(states.load("joe").tensors["layers.0.0"], torch.ones(2, 3))
    assert files(states) == ["joe.state"]


def test_what_a_crash_left_half_written_is_no_state_and_is_cleared(states: StateFolder) -> None:
    (states.path / ".joe.state.abc.partial").write_bytes(b"half")
    assert states.names() == []
    with states.served():
        assert not list(states.path.glob("*.partial")) + list(states.path.glob(".*.partial"))


def test_one_server_a_folder(states: StateFolder) -> None:
    with states.served(), pytest.raises(DataFolderInUse, match="another folder"), StateFolder(states.path).served():
        pass
    with states.served():
        pass


def test_a_fork_parts_from_its_source_when_either_is_saved(states: StateFolder) -> None:
    states.save("joe", state(1))
    assert states.fork("joe", "twin") == states.facts("joe")
    states.save("joe", state(2))
    assert float(states.load("twin").tensors["layers.0.0"].mean()) == 1
    states.delete("joe")
    assert states.names() == ["twin"]


def test_a_taken_name_is_kept(states: StateFolder) -> None:
    states.save("joe", state(1))
    states.save("ann", state(2))
    states.export("ann", states.path.parent / "ann.file")
    for call in (
        lambda: states.fork("joe", "ann"),
        lambda: states.merge(["joe"], "ann"),
        lambda: states.import_("ann", states.path.parent / "ann.file"),
    ):
        with pytest.raises(AlreadyExists, match="there is a state 'ann'"):
            call()


def test_a_merge_is_the_weighted_mean(states: StateFolder) -> None:
    states.save("a", state(1))
    states.save("b", state(4))
    states.merge(["a", "b"], "even")
    states.merge(["a", "b"], "uneven", [0.75, 0.25])
    assert float(states.load("even").tensors["layers.0.0"].mean()) == 2.5
    assert float(states.load("uneven").tensors["layers.0.1"].float().mean()) == 1.75


def test_states_that_wait_for_different_tokens_do_not_merge(states: StateFolder) -> None:
    states.save("a", state(pending=(1,)))
    states.save("b", state(pending=(2,)))
    states.save("c", state(model="theirs", pending=(1,)))
    with pytest.raises(StateMismatch, match="last='drop'"):
        states.merge(["a", "b"], "ab")
    with pytest.raises(StateMismatch, match="belongs to model theirs"):
        states.merge(["a", "c"], "ac")
    for weights in ([1.0], [1.0, float("nan")], [1.0, "1"]):
        with pytest.raises(InvalidArgument, match="give each state a finite number"):
            states.merge(["a", "b"], "ab", weights)  # type: ignore[arg-type]


def test_export_and_import_are_inverse(states: StateFolder, tmp_path: Path) -> None:
    states.save("joe", state(3, pending=(9,)))
    states.export("joe", tmp_path / "joe.file")
    assert states.import_("again", tmp_path / "joe.file") == states.facts("joe")
    (tmp_path / "noise").write_bytes(b"\x00" * 64)
    with pytest.raises(DamagedState):
        states.import_("noise", tmp_path / "noise")
    assert states.names() == ["again", "joe"]


def test_no_more_is_kept_than_the_limit(tmp_path: Path) -> None:
    states = StateFolder(tmp_path / "states", limit_bytes=700)
    states.save("one", state())
    with pytest.raises(StorageFailed, match="may take 700"):
        states.save("two", state())
    assert states.names() == ["one"]


def test_a_folder_has_the_limit_that_its_server_was_told(tmp_path: Path) -> None:
    states = StateFolder.configured({"folder": str(tmp_path / "states"), "disk_mb": "0.0001"})
    with pytest.raises(StorageFailed, match="may take 104"):
        states.save("joe", state())
    with pytest.raises(InvalidArgument, match="need a folder"):
        StateFolder.configured({"disk_mb": 1})
