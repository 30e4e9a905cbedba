"""Copies free on recorded bandits, and what rehearsing on them does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from plures_kernels.errors import InvalidArgument
from plures_students.bandits import Bandits, can_play
from plures_students.config import StudentConfig
from plures_students.imitate import ImitationSettings
from plures_students.imitate.rehearsal import Rehearsal, RehearsalSettings
from plures_students.imitate.trainer import Trainer
from plures_students.lives import Lives, LivesCard, LivesError, split
from plures_students.model import NO_ACTION, Inputs, Student

from .teachers import played


def small_student(seed: int = 0) -> Student:
    torch.manual_seed(seed)
    return Student(StudentConfig(Discrete(1), Discrete(2), width=16, key_width=8, value_width=8, mlp_width=16))


def test_copies_live_the_tasks_and_the_lengths_of_the_recorded_lives() -> None:
    lives = played(lives=2, episodes=3, trials=10, seed=0)
    relived = Bandits(lives).relive(small_student(), copies=5, seed=1)
    assert relived.life_L.tolist() == list(range(10))
    assert relived.lengths.tolist() == [30] * 10
    for copy in range(10):
        rows, recorded = relived.rows(copy), lives.rows(copy // 5)
        assert relived.extra["best_action"][rows].tolist() == lives.extra["best_action"][recorded].tolist()
        assert relived.done_N[rows].tolist() == lives.done_N[recorded].tolist()


def test_lives_of_copies_say_so_and_nothing_of_what_their_teachers_would_have_done() -> None:
    lives = played(lives=2, episodes=3, trials=10, seed=0)
    lives = replace(lives, extra={**lives.extra, "seconds": np.ones(60), "teacher_p_0": np.ones(60)})
    relived = Bandits(lives).relive(small_student(), copies=5, seed=1)
    assert set(relived.extra) == {"best_action", "p_best", "p_other"}
    assert relived.card.title == "copies of: classic learners"
    assert relived.card.seconds_per_decision is None


def test_copies_of_one_life_choose_for_themselves_and_a_seed_repeats_them() -> None:
    bandits = Bandits(played(lives=1, episodes=1, trials=40, seed=0))
    first, again, other = (bandits.relive(small_student(), copies=3, seed=seed) for seed in (1, 1, 2))
    assert first.action_N.tolist() == again.action_N.tolist()
    assert first.action_N.tolist() != other.action_N.tolist()
    assert len({tuple(first.action_N[first.rows(copy)]) for copy in range(3)}) == 3


def test_arms_pay_as_the_lives_say() -> None:
    lives = played(lives=1, episodes=1, trials=200, seed=0)
    relived = Bandits(lives).relive(small_student(), copies=100, seed=1)
    best_N = relived.action_N == relived.extra["best_action"]
    assert relived.reward_N[best_N].mean() == pytest.approx(0.8, abs=0.02)
    assert relived.reward_N[~best_N].mean() == pytest.approx(0.2, abs=0.02)


def test_renamed_arms_take_what_they_pay_with_them() -> None:
    lives = played(lives=1, episodes=1, trials=200, seed=0)
    lives = replace(lives, extra={**lives.extra, "p_best": np.ones(200), "p_other": np.zeros(200)})
    start_B, stop_B = np.zeros(4, np.int64), np.full(4, 200)
    result = Bandits(lives).play(small_student(), start_B, stop_B, 0, names_BA=torch.tensor([[1, 0]] * 4))
    best = lives.extra["best_action"][0]
    assert torch.equal(result.reward_BT == 1, result.action_BT == 1 - best)


def test_a_play_goes_on_from_where_the_copies_stood() -> None:
    """Two copies, ten and six steps at once, are seven and two steps, and then the rest."""
    lives = played(lives=1, episodes=2, trials=10, seed=0)
    student, bandits = small_student(), Bandits(lives)
    start_B, pause_B, stop_B = np.array([0, 4]), np.array([7, 6]), np.array([17, 12])
    first = bandits.play(student, start_B, pause_B, seed=5)
    then = bandits.play(student, pause_B, stop_B, seed=6, before=first.after)
    page, slot = torch.zeros(1, student.config.page_floats), torch.tensor([0])
    for copy in range(2):
        page.zero_()
        for part in (first, then):
            for t in range(int(part.real_BT[copy].sum())):
                names = ("observation", "previous_action", "reward", "done")
                seen = Inputs(*(getattr(part.inputs, name)[copy : copy + 1, t] for name in names))
                student.step(page, slot, slot, seen)
        torch.testing.assert_close(page[0], then.after.pages[copy])
    assert then.inputs.previous_action[:, 0].tolist() == [first.action_BT[0, 6], first.action_BT[1, 1]]
    assert then.inputs.done.nonzero().tolist() == [[0, 3], [1, 4]]


def test_copies_observe_what_was_observed_in_the_recorded_lives() -> None:
    lives = played(lives=2, episodes=2, trials=10, seed=0, observations=3)
    torch.manual_seed(0)
    student = Student(StudentConfig(Discrete(3), Discrete(2), width=16, key_width=8, value_width=8, mlp_width=16))
    result = Bandits(lives).play(student, np.array([0, 25]), np.array([20, 40]), seed=1)
    assert result.inputs.observation[0].tolist() == lives.observation_N[:20].tolist()
    assert result.inputs.observation[1, :15].tolist() == lives.observation_N[25:40].tolist()
    logits_BTA, _ = student(result.inputs)
    other = replace(result.inputs, observation=(result.inputs.observation + 1) % 3)
    assert not torch.allclose(logits_BTA, student(other)[0])


def test_lives_that_do_not_tell_their_task_cannot_be_played() -> None:
    lives = played(lives=1, episodes=1, trials=5, seed=0)
    without = replace(lives, extra={"best_action": lives.extra["best_action"]})
    steering = replace(lives, card=LivesCard(Discrete(1), Box(0, 1, (), np.float32)))
    assert can_play(lives)
    assert not can_play(without)
    assert not can_play(steering)
    with pytest.raises(InvalidArgument, match="they have best_action"):
        Bandits(without)


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("best_action", 2, "best_action of row 3 is 2"),
        ("best_action", np.nan, "best_action of row 3 is nan"),
        ("p_best", 1.5, "p_best of row 3 is 1.5"),
        ("p_other", np.nan, "p_other of row 3 is nan"),
    ],
)
def test_tasks_that_are_none_are_refused(column: str, value: float, complaint: str) -> None:
    lives = played(lives=1, episodes=1, trials=5, seed=0)
    wrong = np.where(np.arange(5) == 3, value, lives.extra[column])
    with pytest.raises(LivesError, match=complaint):
        Bandits(replace(lives, extra={**lives.extra, column: wrong}))


def test_rehearsing_brings_copies_to_take_the_best_arm_as_often_as_their_teachers() -> None:
    """From a student that knows nothing, by rehearsal alone."""
    lives = played(lives=20, episodes=4, trials=20, seed=2)
    student, bandits = small_student(), Bandits(lives)
    rehearsal = Rehearsal(lives, student, RehearsalSettings(copies=64), seed=0, rename=True)
    optimiser = torch.optim.AdamW(student.parameters(), lr=0.005)
    assert best_share(bandits.relive(student, copies=3, seed=3)) == pytest.approx(0.5, abs=0.05)
    for step in range(30):
        optimiser.zero_grad()
        rehearsal.loss(student, step).backward()
        optimiser.step()
    assert best_share(lives) > 0.7
    assert best_share(bandits.relive(student, copies=3, seed=3)) == pytest.approx(best_share(lives), abs=0.12)


def best_share(lives: Lives) -> float:
    return float((lives.action_N == lives.extra["best_action"]).mean())


def test_a_rehearsal_belongs_to_its_step() -> None:
    lives = played(lives=4, episodes=4, trials=20, seed=2)
    student = small_student()
    losses = [Rehearsal(lives, student, RehearsalSettings(), 0, True).loss(student, step).item() for step in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]


def test_actions_that_keep_their_names_in_training_keep_them_in_rehearsal() -> None:
    """What is observed may speak of actions by name, or teachers prefer one."""
    lives = played(lives=4, episodes=4, trials=20, seed=2, observations=2)
    torch.manual_seed(0)
    config = StudentConfig(Discrete(2), Discrete(2), width=16, key_width=8, value_width=8, mlp_width=16)
    few = ImitationSettings(steps=2, batch=40, rehearsal=RehearsalSettings(copies=64))
    for relabel in (False, True):
        trainer = Trainer(config, replace(few, relabel=relabel), *split(lives, 0.5, 0))
        assert trainer.rehearsal is not None
        before_BA = trainer.rehearsal.names_BA
        for step in range(4):
            trainer.rehearsal.loss(trainer.student, step)
        for names_BA in (before_BA, trainer.rehearsal.names_BA):
            kept_B = (names_BA == torch.arange(2)).all(dim=1)
            assert bool(kept_B.all()) is not relabel


def test_the_troupe_lives_lives_of_the_teachers_episodes_one_after_the_other() -> None:
    lives = played(lives=3, episodes=4, trials=10, seed=2)
    student = small_student()
    rehearsal = Rehearsal(lives, student, RehearsalSettings(copies=50), seed=0, rename=True)
    for step in range(8):
        episode_B = rehearsal.episode_B.clone()
        rehearsal.loss(student, step)
        over_B = episode_B % 4 == 3
        assert torch.equal(rehearsal.episode_B[~over_B], episode_B[~over_B] + 1)
        assert (rehearsal.episode_B[over_B] % 4 == 0).all()
        assert torch.equal(rehearsal.standing.action == NO_ACTION, over_B)
        assert torch.equal(rehearsal.standing.pages.any(dim=1), ~over_B)
