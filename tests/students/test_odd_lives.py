"""Lives and trainings as they should not be: learned from as far as that makes sense, and never quietly wrong."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plures_students.fidelity import compare_lives
from plures_students.imitate import Imitation
from plures_students.lives import Lives, read_lives, write_lives

from .teachers import played
from .test_imitate import FEW

SETTINGS = replace(FEW, rehearse=False)


def test_who_always_does_the_same_is_foreseen_to(tmp_path: Path) -> None:
    lives = played(lives=6, episodes=2, trials=20, seed=0)
    constant = replace(lives, action_N=np.zeros_like(lives.action_N), reward_N=np.zeros_like(lives.reward_N))
    settings = replace(SETTINGS, steps=40, learning_rate=0.02)
    report = Imitation(constant, constant, tmp_path, "gated_delta", settings).run()
    assert report["test"]["predictors"]["student"]["accuracy"] == 1.0
    assert report["test"]["predictors"]["student"]["nll"] < 0.1


def test_lives_of_one_step_are_imitated_and_have_nothing_to_become_by(tmp_path: Path) -> None:
    lives = played(lives=40, episodes=1, trials=1, seed=0)
    report = Imitation(lives, lives, tmp_path, "gated_delta", SETTINGS).run()
    assert report["becoming"]["lives"] == 0
    assert np.isfinite(report["test"]["predictors"]["student"]["nll"])


def test_lives_of_one_step_have_a_behaviour() -> None:
    lives = played(lives=40, episodes=1, trials=1, seed=0)
    report = compare_lives(lives, lives)
    assert report["run_length"]["distance"] == 0.0
    assert report["measures"]["reward"]["distance"] == 0.0


CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
from plures_students.imitate import Imitation
from plures_students.lives import read_lives
from tests.students.test_odd_lives import SETTINGS

said = lambda trainer, loss: print(trainer.course.step, flush=True)
Imitation(read_lives(Path(sys.argv[1])), None, Path(sys.argv[2]), "gated_delta", SETTINGS).run(said)
"""


@pytest.mark.parametrize("last", [5, 8])
def test_a_training_killed_at_any_step_loses_what_came_after_its_last_save(
    tmp_path: Path, lives: Lives, straight: Path, last: int
) -> None:
    """Saves come every four steps; after steps 5 and 8, four and at least four steps were saved."""
    write_lives(tmp_path / "lives", lives)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path / "lives", tmp_path / "out"],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            if int(line) == last:
                child.send_signal(signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    seen: list[int] = []
    resumed = Imitation(read_lives(tmp_path / "lives"), None, tmp_path / "out", "gated_delta", SETTINGS, resume=True)
    resumed.run(lambda trainer, loss: seen.append(trainer.course.step))
    assert seen[0] > 4
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "out" / file).read_bytes() == (straight / file).read_bytes()


@pytest.fixture(scope="module")
def lives() -> Lives:
    return played(lives=6, episodes=4, trials=30, seed=8)


@pytest.fixture(scope="module")
def straight(lives: Lives, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nothing happened to."""
    out = tmp_path_factory.mktemp("straight")
    Imitation(lives, None, out, "gated_delta", SETTINGS).run()
    return out
