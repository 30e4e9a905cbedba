"""A student on disk: it comes back bit for bit, or not at all."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gymnasium.spaces import Box, Discrete
from plures_students.checkpoint import load_checkpoint, save_checkpoint
from plures_students.config import StudentConfig
from plures_students.errors import CheckpointError
from plures_students.model import Student
from safetensors.torch import load_file, save_file

CARD = {"horizon": 100, "source": {"who": "nobody"}, "notes": "Grüße"}
Weights = dict[str, torch.Tensor]


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    return Student(StudentConfig(Box(-1, 1, (3,)), Discrete(2), width=16, key_width=4, value_width=4, mlp_width=8))


@pytest.fixture
def folder(tmp_path: Path, student: Student) -> Path:
    save_checkpoint(tmp_path / "joe", student, CARD)
    return tmp_path / "joe"


def test_a_student_comes_back_bit_for_bit(folder: Path, student: Student) -> None:
    loaded = load_checkpoint(folder)
    assert loaded.student.config == student.config
    assert loaded.card == CARD
    assert loaded.digest == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    for name, weight in student.state_dict().items():
        assert torch.equal(loaded.student.state_dict()[name], weight), name


def test_a_loaded_student_is_for_serving(folder: Path) -> None:
    loaded = load_checkpoint(folder).student
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_a_student_is_three_files_and_nothing_else(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "config.json", "model.safetensors"]


def test_a_student_replaces_another(folder: Path) -> None:
    torch.manual_seed(1)
    other = Student(StudentConfig(Discrete(5), Discrete(3)))
    save_checkpoint(folder, other, {})
    loaded = load_checkpoint(folder)
    assert (loaded.student.config, loaded.card) == (other.config, {})
    assert torch.equal(loaded.student.head.weight, other.head.weight)


def _drop(weights: Weights) -> None:
    del weights["embed.bias"]


def _add(weights: Weights) -> None:
    weights["embed.extra"] = torch.zeros(1)


def _reshape(weights: Weights) -> None:
    weights["embed.bias"] = torch.zeros(17)


def _cast(weights: Weights) -> None:
    weights["embed.bias"] = weights["embed.bias"].double()


def _infect(weights: Weights) -> None:
    weights["embed.bias"][3] = torch.nan


def _overflow(weights: Weights) -> None:
    weights["embed.bias"][3] = torch.inf


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_drop, "misses tensors embed.bias"),
        (_add, "has unknown tensors embed.extra"),
        (_reshape, r"embed.bias is torch.float32 \[17\], the config wants float32 \[16\]"),
        (_cast, "embed.bias is torch.float64"),
        (_infect, "embed.bias holds values that are not finite"),
        (_overflow, "embed.bias holds values that are not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder: Path, spoil: Callable[[Weights], None], said: str) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    spoil(weights)
    save_file(weights, path)
    with pytest.raises(CheckpointError, match=f"model.safetensors:? {said}"):
        load_checkpoint(folder)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_truncated_weights_file_is_refused(folder: Path, length: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read as safetensors"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "card.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "card.json"])
@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[1]", b"null"], ids=lambda text: text[:9])
def test_what_is_no_json_object_is_refused(folder: Path, name: str, text: bytes) -> None:
    (folder / name).write_bytes(text)
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 32},
        {"width": 17},
        {"rule": "magic"},
        {"heads": None},
        {"surprise": 1},
        {"action_space": {"type": "Text"}},
    ],
)
def test_a_config_that_fits_no_student_or_not_these_weights_is_refused(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=r"config\.json|model\.safetensors"):
        load_checkpoint(folder)


def test_what_cannot_be_written_leaves_the_student_that_was_there(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = Student(StudentConfig(Discrete(5), Discrete(3)))
    with pytest.raises(TypeError):
        save_checkpoint(folder, other, {"not": {"json": object()}})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
