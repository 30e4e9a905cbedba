"""Files appear whole or not at all."""

import json
from pathlib import Path

import pytest
from plures_students.writing import replacing, write_json


def test_what_was_there_stays_when_writing_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    write_json(path, {"rows": [1]})

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text('{"rows": [1, ')
            raise OSError("disk is full")

    with pytest.raises(OSError, match="disk is full"):
        fail()
    assert json.loads(path.read_text()) == {"rows": [1]}
    assert list(path.parent.iterdir()) == [path]


def test_what_is_no_json_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, 1)
    with pytest.raises(TypeError):
        write_json(path, object())
    assert path.read_text() == "1\n"
