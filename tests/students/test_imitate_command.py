"""`plures imitate` and `plures fidelity` from a terminal, on real people."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from plures_students.checkpoint import load_checkpoint
from plures_students.commands import fidelity, imitate
from plures_students.lives import copy_shipped, read_lives, write_lives

FEW = ("--steps", "4", "--batch", "512", "--length", "100")


def run(command: object, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few people to learn from (`train`), few others (`test`)."""
    folder = tmp_path_factory.mktemp("people")
    copy_shipped("dezfouli2019_bandit", folder / "all")
    people = read_lives(folder / "all")
    write_lives(folder / "train", people.select(range(6)))
    shortest = np.argsort(people.lengths)[:3]
    write_lives(folder / "test", people.select(shortest))
    return folder


@pytest.fixture(scope="module")
def imitated(folder: Path) -> Result:
    return run(imitate, folder / "train", "--test", folder / "test", "--out", folder / "student", *FEW)


def test_a_student_and_its_report_come_out(folder: Path, imitated: Result) -> None:
    assert imitated.exit_code == 0, imitated.output
    report = json.loads((folder / "student" / "report.json").read_text())
    assert report["test"]["lives"] == 3
    assert report["becoming"]["lives"] == 3
    card = load_checkpoint(folder / "student").card
    assert card["teacher"]["licence"] == "Apache-2.0"
    assert card["training"]["steps"] == 4
    assert any((folder / "student" / "tensorboard").iterdir())
    for predictor in ("chance", "classic", "student"):
        assert predictor in imitated.output


def test_a_finished_training_resumes_to_what_it_was(folder: Path, imitated: Result) -> None:
    weights = (folder / "student" / "model.safetensors").read_bytes()
    again = run(imitate, folder / "train", "--out", folder / "student", *FEW, "--resume")
    assert again.exit_code == 0, again.output
    assert (folder / "student" / "model.safetensors").read_bytes() == weights


def test_a_student_is_not_overwritten_by_another_training(folder: Path, imitated: Result) -> None:
    weights = (folder / "student" / "model.safetensors").read_bytes()
    again = run(imitate, folder / "train", "--out", folder / "student", *FEW, "--seed", 1)
    assert again.exit_code == 1
    assert "holds a training; --resume goes on with it" in again.output
    assert (folder / "student" / "model.safetensors").read_bytes() == weights


def test_tables_are_not_folded_in_pipes(imitated: Result) -> None:
    [gain] = [line for line in imitated.output.splitlines() if "classic" in line]
    assert "±" in gain


def test_its_copies_are_compared_with_people(folder: Path, imitated: Result) -> None:
    played = run(fidelity, folder / "test", "--play", folder / "student", "--each", 2, "--out", folder / "fidelity")
    assert played.exit_code == 0, played.output
    assert json.loads((folder / "fidelity" / "fidelity.json").read_text())["lives"] == {"teacher": 3, "copies": 6}
    assert (folder / "fidelity" / "behaviour.png").stat().st_size > 10_000
    again = run(fidelity, folder / "test", folder / "fidelity" / "lives", "--each", 2, "--out", folder / "again")
    assert again.output == played.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nowhere", "--out", "out"), "nowhere/card.json cannot be read"),
        (("train", "--out", "out", "--resume"), "holds no training to resume"),
        (("train", "--test", "nowhere", "--out", "out"), "nowhere/card.json cannot be read"),
        (("train", "--out", "out", "--steps", "0"), "0 is not in the range"),
        (("train", "--out", "out", "--rule", "magic"), "'magic' is not"),
        (("train", "--out", "out", "--batch", str(10**12)), "are free; lower --batch or --length"),
    ],
)
def test_a_wrong_call_fails_in_words(folder: Path, arguments: tuple[str, ...], complaint: str) -> None:
    places = {name: str(folder / name) for name in ("train", "nowhere", "out")}
    failed = run(imitate, *(places.get(argument, argument) for argument in arguments))
    assert failed.exit_code != 0
    assert complaint in failed.output
    assert "Traceback" not in failed.output


def test_a_comparison_wants_copies_or_a_student(folder: Path) -> None:
    failed = run(fidelity, folder / "test", "--out", folder / "nothing")
    assert failed.exit_code == 2
    assert "--play" in failed.output


def test_what_is_asked_for_is_what_the_student_is(folder: Path) -> None:
    shape = "--rule", "average", "--layers", 1, "--mlp-width", 3
    born = run(imitate, folder / "train", "--out", folder / "born", *FEW, "--births", *shape)
    assert born.exit_code == 0, born.output
    student = load_checkpoint(folder / "born")
    assert student.card["training"]["births"]
    config = student.student.config
    assert (config.rule, config.layers, config.mlp_width, config.heads) == ("average", 1, 3, 2)
