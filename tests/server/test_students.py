"""The students that a server loads: all below one folder, or a sentence that says what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from plures_server.errors import InvalidArgument, UnknownStudent
from plures_server.students import load_students
from plures_students.checkpoint import save_checkpoint
from plures_students.errors import CheckpointError

from .helpers import CPU, small_student


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("joe", "jane"):
        save_checkpoint(tmp_path / name, small_student(), {"horizon": 7, "seconds_per_decision": 0.5})
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("not a student")
    return tmp_path


def test_every_folder_is_a_student(folder: Path) -> None:
    students = load_students(folder, CPU)
    assert [student.name for student in students.all()] == ["jane", "joe"]
    joe = students.get("joe")
    assert (joe.horizon, joe.teacher_seconds_per_decision, joe.page_bytes) == (7, 0.5, 256)
    with pytest.raises(UnknownStudent, match="no student 'jim' is loaded; loaded: jane, joe"):
        students.get("jim")


@pytest.mark.parametrize("card", [{}, {"horizon": None, "seconds_per_decision": None}], ids=["left out", "null"])
def test_what_was_not_measured_is_0(folder: Path, card: dict[str, Any]) -> None:
    (folder / "joe" / "card.json").write_text(json.dumps(card))
    joe = load_students(folder, CPU).get("joe")
    assert (joe.horizon, joe.teacher_seconds_per_decision) == (0, 0)


@pytest.mark.parametrize("value", [-1, "100", True, [], float("nan"), float("inf"), 2**64], ids=repr)
@pytest.mark.parametrize("entry", ["horizon", "seconds_per_decision"])
def test_a_card_that_makes_no_sense_is_refused(folder: Path, entry: str, value: object) -> None:
    (folder / "joe" / "card.json").write_text(json.dumps({entry: value}))
    with pytest.raises(CheckpointError, match=rf"joe/card\.json: {entry} .* is neither a number from 0 on nor null"):
        load_students(folder, CPU)


def test_folders_that_hold_no_students_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="empty holds no students"):
        load_students(tmp_path / "empty", CPU)
    with pytest.raises(CheckpointError, match="nothing is not a folder of students"):
        load_students(tmp_path / "nothing", CPU)


def test_a_folder_that_cannot_be_a_name_is_refused(folder: Path) -> None:
    (folder / "joe").rename(folder / "Joe Doe")
    with pytest.raises(InvalidArgument, match="student 'Joe Doe' is not a name"):
        load_students(folder, CPU)


def test_one_bad_student_is_named(folder: Path) -> None:
    (folder / "joe" / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"joe/model\.safetensors"):
        load_students(folder, CPU)
