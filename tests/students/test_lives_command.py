"""`plures lives` from a terminal."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from gymnasium.spaces import Discrete
from plures_students.commands import lives
from plures_students.lives import read_lives


def run(*arguments: object) -> Result:
    return CliRunner().invoke(lives, [str(argument) for argument in arguments])


def test_the_shipped_people_are_copied_described_and_split(tmp_path: Path) -> None:
    people = tmp_path / "people"
    assert run("copy", "dezfouli2019_bandit", people).exit_code == 0
    assert (people / "LICENSE").read_text().lstrip().startswith("Apache License")
    said = run("describe", people).output
    assert "132,251" in said
    assert "Apache-2.0" in said
    halves = tmp_path / "train", tmp_path / "test"
    assert run("split", people, "--out", *halves, "--share", 0.8).exit_code == 0
    assert [len(read_lives(half)) for half in halves] == [81, 20]


def test_a_table_is_imported_by_its_mapping(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("who,did,got\n1,0,0.5\n1,1,0\n2,1,1\n")
    (tmp_path / "map.json").write_text(
        '{"card": {"observation_space": {"type": "Discrete", "n": 1}, "action_space": {"type": "Discrete", "n": 2}},'
        ' "columns": {"life": "who", "action": "did", "reward": "got"}}'
    )
    done = run("import", tmp_path / "table.csv", "--map", tmp_path / "map.json", "--out", tmp_path / "lives")
    assert done.output.endswith("2 lives, 3 steps\n")
    assert read_lives(tmp_path / "lives").action_N.tolist() == [0, 1, 1]


def test_a_wrong_call_fails_in_one_line(tmp_path: Path) -> None:
    failed = run("describe", tmp_path / "nowhere")
    assert failed.exit_code == 1
    assert failed.output.startswith("Error: ")
    assert "nowhere/card.json" in failed.output
    assert failed.output.count("\n") == 1


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    people = tmp_path / "people"
    run("copy", "dezfouli2019_bandit", people)
    again = run("copy", "dezfouli2019_bandit", people)
    onto = run("split", people, "--out", tmp_path / "new", people)
    assert again.exit_code == onto.exit_code == 1
    assert "exists; name a directory that does not" in again.output
    assert len(read_lives(people)) == 101
    assert not (tmp_path / "new").exists()


def test_a_split_goes_to_two_directories_by_a_seed_that_is_one(tmp_path: Path) -> None:
    run("record", "--world", "bandit", "--learner", "ucb1", "--lives", 4, "--steps", 5, "--out", tmp_path / "lives")
    same = run("split", tmp_path / "lives", "--out", tmp_path / "half", tmp_path / "half")
    assert (same.exit_code, "two different directories" in same.output) == (1, True)
    assert not (tmp_path / "half").exists()
    seeded = run("split", tmp_path / "lives", "--out", tmp_path / "one", tmp_path / "two", "--seed", -1)
    assert (seeded.exit_code, "-1 is not in the range x>=0" in seeded.output) == (2, True)


def test_what_cannot_be_written_fails_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    options = ["--world", "bandit", "--learner", "ucb1", "--lives", 4, "--steps", 5]
    failed = run("record", *options, "--out", tmp_path / "file" / "lives")
    assert failed.exit_code == 1
    assert failed.output.startswith("Error: ")
    assert "file/lives" in failed.output


def test_a_pace_that_is_not_known_is_not_told(tmp_path: Path) -> None:
    run("record", "--world", "bandit", "--learner", "ucb1", "--lives", 4, "--steps", 5, "--out", tmp_path / "lives")
    assert "nan" not in run("describe", tmp_path / "lives").output


def test_a_teacher_is_recorded(tmp_path: Path) -> None:
    out = tmp_path / "lives"
    options = ["--world", "bandit", "--learner", "thompson", "--lives", 3, "--steps", 20, "--set", "world.arms=3"]
    result = run("record", *options, "--out", out)
    assert result.exit_code == 0, result.output
    recorded = read_lives(out)
    assert recorded.card.action_space == Discrete(3)
    assert recorded.lengths.tolist() == [20, 20, 20]
    assert "exists" in run("record", *options, "--out", out).output


@pytest.mark.parametrize(
    "setting", ["arms=3", "world.arms", "world.=3", "dog.arms=3", "world.legs=2", "world.arms=two"]
)
def test_a_setting_that_makes_no_sense_is_refused(tmp_path: Path, setting: str) -> None:
    options = ["--world", "bandit", "--learner", "ucb1", "--lives", 3, "--steps", 20, "--set", setting]
    result = run("record", *options, "--out", tmp_path / "lives")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert not (tmp_path / "lives").exists()
