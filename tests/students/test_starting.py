"""Students that start at a classic learner: untrained, they already learn."""

import numpy as np
import torch
from gymnasium.spaces import Discrete
from plures_students.config import StudentConfig
from plures_students.copies import Copies
from plures_students.model import Student
from plures_students.starting import can_start_at_averages
from plures_students.teachers import Bandit, record


def counting(arms: int = 4, **sizes: int) -> StudentConfig:
    return StudentConfig(Discrete(1), Discrete(arms), "average", layers=1, mlp_width=1, **sizes)


def test_an_untrained_student_that_counts_takes_to_the_best_arm_and_goes_on_learning() -> None:
    torch.manual_seed(0)
    lives = record(Bandit(4), Copies(Student(counting())), lives=60, steps=400, seed=1)
    pay_NA = np.stack([lives.extra[f"pay_{a}"] for a in range(4)], axis=1)
    regret_BT = (pay_NA.max(axis=1) - pay_NA[np.arange(lives.steps), lives.action_N]).reshape(60, 400)
    early, later, last = (float(regret_BT[:, part].mean()) for part in (slice(8), slice(40, 80), slice(300, 400)))
    assert later < 0.7 * early
    assert last < 0.8 * later


def test_where_there_is_no_room_for_the_table_a_student_starts_anywhere() -> None:
    assert can_start_at_averages(counting())
    assert not can_start_at_averages(counting(key_width=3))
    assert not can_start_at_averages(counting(arms=9))
    assert not can_start_at_averages(StudentConfig(Discrete(1), Discrete(4)))
    assert Student(counting(arms=9)).head.weight.abs().max() < 1
