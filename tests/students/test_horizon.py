"""How long copies stay true to a teacher whose chances are known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from gymnasium.spaces import Discrete
from plures_kernels.errors import InvalidArgument
from plures_students.checkpoint import load_checkpoint, save_checkpoint
from plures_students.commands import horizon
from plures_students.config import StudentConfig
from plures_students.copies import Copies
from plures_students.fidelity.horizon import divergence
from plures_students.imitate.histories import Histories
from plures_students.imitate.likelihood import log_probs
from plures_students.model import Student
from plures_students.teachers import Bandit, DarkRoom, QLearner, Ucb1, foreseen, record


def student(observations: int = 1, actions: int = 2) -> Student:
    torch.manual_seed(0)
    sizes = {"width": 16, "mlp_width": 24}
    return Student(StudentConfig(Discrete(observations), Discrete(actions), **sizes)).eval().requires_grad_(False)


def test_a_copy_among_the_teachers_foresees_what_its_student_does() -> None:
    lives, model = record(DarkRoom(3, episode=5), QLearner(), 4, 30, seed=0), student(9, 5)
    np.testing.assert_allclose(foreseen(Copies(model), lives), np.exp(log_probs(model, Histories(lives))), atol=1e-5)


def test_a_copy_that_lives_tells_its_chances() -> None:
    model = student()
    lives = record(Bandit(2), Copies(model), 5, 20, seed=1)
    chances = np.stack([lives.extra["teacher_p_0"], lives.extra["teacher_p_1"]], axis=1)
    np.testing.assert_allclose(foreseen(Copies(model), lives), chances, atol=1e-6)


def test_a_teacher_that_is_the_student_is_never_left() -> None:
    model = student()
    found = divergence(model, Copies(model), Bandit(2), lives=10, steps=60, seed=0)
    assert np.abs(found.on_copies.mean).max() < 1e-7
    assert np.abs(found.on_teacher.mean).max() < 1e-7
    assert found.teacher_reward == found.copies_reward
    assert (found.horizon, found.until[-1]) == (60, 60)


def test_the_divergence_is_that_of_the_choices() -> None:
    """One step: a newborn Q-learner chooses either of two arms, the student as its logits say."""
    model = student()
    found = divergence(model, QLearner(), Bandit(2), lives=4, steps=1, seed=0)
    p_A = foreseen(Copies(model), record(Bandit(2), QLearner(), 1, 1, seed=0))[0]
    assert found.on_teacher.mean == pytest.approx([-0.5 * np.log(4 * p_A[0] * p_A[1])], abs=1e-6)


def test_a_student_that_never_learned_leaves_at_once() -> None:
    found = divergence(student(), Ucb1(), Bandit(2), lives=30, steps=50, seed=0)
    assert found.horizon < 10
    assert found.horizon in [0, *found.until]


def test_a_world_of_other_spaces_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="name the world it was made for"):
        divergence(student(), QLearner(), Bandit(3), lives=4, steps=5, seed=0)


def test_the_horizon_is_written_to_the_card_with_its_evidence(tmp_path: Path) -> None:
    model = student()
    save_checkpoint(tmp_path, model, {"seconds_per_decision": 0.5})
    options = ["--world", "bandit", "--set", "world.arms=2", "--learner", "ucb1", "--lives", "5", "--steps", "20"]
    said = CliRunner().invoke(horizon, [str(tmp_path), *options])
    assert said.exit_code == 0, said.output
    assert "horizon" not in load_checkpoint(tmp_path).card
    CliRunner().invoke(horizon, [str(tmp_path), *options, "--write"])
    card = json.loads((tmp_path / "card.json").read_text())
    assert f"horizon: {card['horizon']} of 20 steps" in said.output
    assert card["horizon_evidence"]["teacher"] == "Ucb1(width=2.0)"
    assert card["seconds_per_decision"] == 0.5
