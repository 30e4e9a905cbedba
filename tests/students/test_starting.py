"""Students that start at a classic learner: untrained, they already learn."""

import math
from dataclasses import replace

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from plures_students.config import StudentConfig
from plures_students.copies import Copies
from plures_students.fidelity.horizon import beside, chances, kl
from plures_students.model import Memory, Student
from plures_students.starting import can_start_at_averages, can_start_at_values
from plures_students.starting.projections import by_name
from plures_students.teachers import Bandit, DarkRoom, QLearner, foreseen, record


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


def bootstrapping(**sizes: int) -> StudentConfig:
    shape = {"layers": 1, "heads": 1, "width": 48, "key_width": 9, "value_width": 5, **sizes}
    return StudentConfig(Discrete(9), Discrete(5), "td", **shape)


def test_an_untrained_student_that_bootstraps_is_nearly_a_q_learner_whatever_its_seed() -> None:
    world, like = DarkRoom(3, episode=6), QLearner(learning_rate=0.5, discount=0.5, explore="softmax")
    like = replace(like, inverse_temperature=400 * math.exp(-3))
    for seed in range(2):
        torch.manual_seed(seed)
        student = Student(bootstrapping())
        lives = record(world, like, lives=40, steps=300, seed=seed)
        # It lapses, as its teacher does not.
        lapse = torch.sigmoid(torch.tensor(-1.0)).item()
        lapsing = (1 - lapse) * chances(lives) + lapse / 5
        assert kl(lapsing, foreseen(Copies(student), lives)).mean() < 0.02


def test_with_its_teachers_rates_a_student_that_bootstraps_chooses_as_its_teacher_far_beyond() -> None:
    world, teacher = DarkRoom(3, episode=6), QLearner(learning_rate=0.3, discount=0.9, epsilon=0.1)
    torch.manual_seed(0)
    student = Student(bootstrapping())
    memory = student.memories[0]
    assert isinstance(memory, Memory)
    bias = by_name(memory, memory.project.bias)
    with torch.no_grad():
        bias["beta"][0] += math.log(0.3 / 0.7)
        bias["discount"][0], bias["lapse"][0] = math.log(0.9 / 0.1), math.log(0.1 / 0.9)
        for name in ("greed", "choice"):
            memory.weights[name].fill_(1.0)
    taught = record(world, teacher, lives=40, steps=1500, seed=0)
    found = beside(student, teacher, world, taught, seed=1)
    assert found.horizon == 1500
    assert found.on_copies.mean[-1] < 0.05


def test_an_untrained_student_that_bootstraps_goes_where_it_is_paid() -> None:
    torch.manual_seed(0)
    lives = record(DarkRoom(3, episode=6), Copies(Student(bootstrapping())), lives=60, steps=600, seed=1)
    reward_BT = lives.reward_N.reshape(60, 600)
    assert reward_BT[:, 400:].mean() > 2 * reward_BT[:, :12].mean()


def test_where_there_is_no_room_for_the_values_a_student_starts_anywhere() -> None:
    assert can_start_at_values(bootstrapping())
    assert not can_start_at_values(bootstrapping(key_width=8))
    assert not can_start_at_values(bootstrapping(value_width=6))
    assert not can_start_at_values(bootstrapping(width=16))
    assert not can_start_at_values(replace(bootstrapping(), observation_space=Box(0, 1, (9,))))
    assert Student(bootstrapping(key_width=8)).head.weight.abs().max() < 1
