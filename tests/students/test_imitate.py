"""The outer loop: what a student is shown, how it is fitted, and what is said of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_kernels.errors import InvalidArgument
from plures_students.checkpoint import load_checkpoint
from plures_students.classic import fit_classic
from plures_students.config import StudentConfig
from plures_students.imitate import Imitation, ImitationSettings
from plures_students.imitate.histories import PADDING, Histories
from plures_students.imitate.likelihood import log_probs, nll
from plures_students.imitate.report import becoming, compare_predictions
from plures_students.imitate.resume import ResumeError
from plures_students.imitate.segments import Segments
from plures_students.imitate.trainer import Diverged, Trainer
from plures_students.lives import Lives, LivesCard, LivesError
from plures_students.model import NO_ACTION, Inputs, Student

from .teachers import played

FEW = ImitationSettings(steps=12, batch=256, length=60, short=20, validate_every=4, relabel=False)


def small_student(lives: Lives, seed: int = 0) -> Student:
    torch.manual_seed(seed)
    space = lives.card.action_space
    config = StudentConfig(lives.card.observation_space, space, width=16, key_width=4, value_width=4, mlp_width=16)  # type: ignore[arg-type]
    return Student(config).eval()


def cut(lives: Lives, rows: Any, offsets: list[int]) -> Lives:
    """Some rows of lives as lives of their own."""
    names = ("step_N", "observation_N", "action_N", "reward_N", "done_N")
    columns = {name: getattr(lives, name)[rows] for name in names}
    return replace(lives, life_L=np.arange(len(offsets) - 1), offsets=np.array(offsets), extra={}, **columns)


def trainer(lives: Lives, settings: ImitationSettings) -> Trainer:
    config = small_student(lives).config
    return Trainer(config, settings, lives.select(range(1, len(lives))), lives.select([0]))


def test_a_step_perceives_what_the_step_before_it_brought() -> None:
    lives = played(lives=2, episodes=2, trials=3, seed=0, observations=3)
    batch = Histories(lives).batch(np.array([6, 1]), np.array([10, 3]))
    assert batch.action_BT.tolist() == [lives.action_N[6:10].tolist(), [*lives.action_N[1:3], PADDING, PADDING]]
    assert batch.inputs.observation[0].tolist() == lives.observation_N[6:10].tolist()
    assert batch.inputs.previous_action[0].tolist() == [NO_ACTION, *lives.action_N[6:9]]
    assert batch.inputs.reward[0].tolist() == [0.0, *lives.reward_N[6:9]]
    assert batch.inputs.done[0].tolist() == [False, False, False, True]


@given(seed=st.integers(0, 100))
def test_renaming_actions_renames_what_was_done_and_what_is_remembered(seed: int) -> None:
    lives = played(lives=1, episodes=1, trials=8, seed=seed)
    bounds = np.array([0]), np.array([8])
    swapped = Histories(lives).batch(*bounds, torch.tensor([[1, 0]]))
    plain = Histories(lives).batch(*bounds)
    assert swapped.action_BT.tolist() == (1 - plain.action_BT).tolist()
    assert swapped.inputs.previous_action[:, 1:].tolist() == (1 - plain.inputs.previous_action[:, 1:]).tolist()
    assert swapped.inputs.previous_action[:, 0].tolist() == [NO_ACTION]


@settings(deadline=None, max_examples=25)
@given(step=st.integers(0, 10_000), progress=st.floats(0, 1), seed=st.integers(0, 99))
def test_segments_belong_to_a_step_and_begin_where_an_episode_does(step: int, progress: float, seed: int) -> None:
    lives = played(lives=3, episodes=4, trials=7, seed=1)
    segments = Segments(lives, 2, replace(FEW, seed=seed, relabel=True))
    start_B, stop_B, names_BA = segments.draw(step, progress)
    again = Segments(lives, 2, replace(FEW, seed=seed, relabel=True)).draw(step, progress)
    assert names_BA is not None
    assert again[2] is not None
    assert (start_B.tolist(), stop_B.tolist(), names_BA.tolist()) == tuple(x.tolist() for x in again if x is not None)
    assert set(start_B.tolist()) <= set(range(0, 84, 7))
    assert (start_B // 28 == (stop_B - 1) // 28).all()
    assert names_BA.sort(dim=1).values.tolist() == [[0, 1]] * len(start_B)


def test_segments_grow_until_they_are_whole_lives() -> None:
    lives = played(lives=3, episodes=4, trials=30, seed=1)
    segments = Segments(lives, 2, replace(FEW, short=30, length=120))
    longest = [
        max((np.diff(segments.draw(step, progress)[:2], axis=0)).max() for step in range(20)) for progress in (0, 1)
    ]
    assert longest == [30, 120]


def test_a_long_episode_is_learned_from_in_all_its_parts() -> None:
    lives = played(lives=1, episodes=1, trials=100, seed=1)
    starts = {int(start) for step in range(50) for start in Segments(lives, 2, FEW).draw(step, 0)[0]}
    assert starts == {0, 20, 40, 60, 80}


def test_forecasts_are_those_of_a_served_copy_that_is_made_to_live_the_life() -> None:
    lives = cut(played(lives=2, episodes=2, trials=10, seed=3), slice(0, 35), [0, 20, 35])
    student = small_student(lives)
    forecast_NA = log_probs(student, Histories(lives))
    for place in range(2):
        page, slot = torch.zeros(1, student.config.page_floats), torch.tensor([0])
        action, reward, done = NO_ACTION, 0.0, False
        for row in range(*lives.rows(place).indices(lives.steps)):
            seen = Inputs(torch.tensor([0]), torch.tensor([action]), torch.tensor([reward]), torch.tensor([done]))
            served_A = student.step(page, slot, slot, seen)[0].log_softmax(-1)
            np.testing.assert_allclose(forecast_NA[row], served_A.numpy(), atol=1e-5)
            action, reward, done = int(lives.action_N[row]), float(lives.reward_N[row]), bool(lives.done_N[row])


def test_training_comes_to_foresee_a_learner_as_well_as_its_own_formula_does() -> None:
    lives = played(lives=40, episodes=4, trials=40, seed=5)
    lives = replace(lives, extra={})
    course = trainer(lives, replace(FEW, steps=150, batch=2048, length=160, short=40, relabel=True, learning_rate=0.01))
    while course.progress < 1:
        course.advance()
        if course.course.step % 25 == 0:
            course.validate()
    unseen = played(lives=30, episodes=4, trials=40, seed=6)
    student = nll(log_probs(course.best, Histories(unseen)), unseen.action_N).mean()
    formula = nll(fit_classic(lives).log_probs(unseen), unseen.action_N).mean()
    assert student < formula + 0.02 < np.log(2)


def test_the_newest_average_is_kept_that_foresees_unless_clearly_worse() -> None:
    """A student that is spoiled on the way is not the one that comes out; a tie goes to the newer."""
    lives = played(lives=9, episodes=3, trials=20, seed=7)
    course = Trainer(small_student(lives).config, FEW, lives.select(range(5)), lives.select(range(5, 9)))
    for _ in range(3):
        course.advance()
        course.validate()
        assert course.course.kept_step == course.course.step
    kept = {name: tensor.clone() for name, tensor in course.best.state_dict().items()}
    course.average.head.bias.data += torch.tensor([3.0, -3.0])
    course.course.step += 1
    course.validate()
    assert course.course.kept_step == 3
    assert all(torch.equal(tensor, kept[name]) for name, tensor in course.best.state_dict().items())
    course.average.load_state_dict(kept)
    course.course.step += 1
    course.validate()
    assert course.course.kept_step == 5


def test_a_training_that_was_interrupted_ends_with_the_same_bits(tmp_path: Path) -> None:
    lives = played(lives=6, episodes=4, trials=30, seed=8)
    Imitation(lives, None, tmp_path / "straight", "gated_delta", FEW).run()

    class Interrupted(Exception):
        pass

    def interrupt(course: Trainer, loss: float) -> None:
        if course.course.step == 8:
            raise Interrupted

    halted = Imitation(lives, None, tmp_path / "halted", "gated_delta", FEW)
    with pytest.raises(Interrupted):
        halted.run(interrupt)
    seen: list[int] = []
    replace(halted, resume=True).run(lambda course, loss: seen.append(course.course.step))
    assert seen == [9, 10, 11, 12]
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "halted" / file).read_bytes() == (tmp_path / "straight" / file).read_bytes()


def test_a_training_is_resumed_with_what_it_was_begun_with(tmp_path: Path) -> None:
    lives = played(lives=4, episodes=2, trials=20, seed=9)
    first = Imitation(lives, None, tmp_path, "gated_delta", FEW)
    first.run()
    with pytest.raises(ResumeError, match=r"begun with learning_rate 0\.004, not 0\.1"):
        replace(first, settings=replace(FEW, learning_rate=0.1), resume=True).run()
    with pytest.raises(ResumeError, match="begun with lives"):
        replace(first, lives=played(lives=4, episodes=2, trials=20, seed=10), resume=True).run()
    (tmp_path / "training.safetensors").write_bytes(b"\x08")
    with pytest.raises(ResumeError, match="holds no training to resume"):
        replace(first, resume=True).run()


def test_a_time_limit_ends_the_training(tmp_path: Path) -> None:
    endless = replace(FEW, steps=10**9, minutes=0.01)
    report = Imitation(played(lives=4, episodes=2, trials=20, seed=9), None, tmp_path, "gated_delta", endless).run()
    assert 0.6 <= report["training"]["seconds"] < 10
    assert report["training"]["curve"][-1]["step"] == report["training"]["steps"]


def test_the_checkpoint_says_what_it_imitates_and_how_well(tmp_path: Path) -> None:
    lives, test = (played(lives=5, episodes=3, trials=20, seed=seed) for seed in (11, 12))
    report = Imitation(lives, test, tmp_path, "gated_delta", FEW).run()
    card = load_checkpoint(tmp_path).card
    assert card["seconds_per_decision"] == 0.5
    assert card["teacher"]["title"] == "classic learners"
    assert card["measured"]["test"] == report["test"] == json.loads((tmp_path / "report.json").read_text())["test"]
    assert set(report["test"]["predictors"]) == {"chance", "classic", "student"}
    assert report["test"]["predictors"]["chance"]["nll"] == pytest.approx(np.log(2))


def test_gains_are_paired_by_life() -> None:
    lives = played(lives=2, episodes=1, trials=2, seed=13)
    lives = replace(lives, action_N=np.array([0, 0, 1, 0], np.int32))
    even_NA, sure_NA = np.log(np.full((4, 2), 0.5)), np.log(np.tile([0.8, 0.2], (4, 1)))
    found = compare_predictions(lives, {"even": even_NA, "sure": sure_NA})
    by_life = np.array([np.log(0.8 / 0.5), (np.log(0.2 / 0.5) + np.log(0.8 / 0.5)) / 2])
    assert found["gain_of_sure_over"]["even"]["mean"] == pytest.approx(by_life.mean())
    assert found["gain_of_sure_over"]["even"]["standard_error"] == pytest.approx(by_life.std(ddof=1) / np.sqrt(2))
    assert found["predictors"]["sure"]["accuracy"] == 0.75
    assert found["predictors"]["sure"]["likelihood"] == pytest.approx(np.exp(np.log([0.8, 0.8, 0.2, 0.8]).mean()))


def test_becoming_compares_a_copy_that_lived_with_a_newborn_one_on_the_last_episode() -> None:
    lives = played(lives=3, episodes=3, trials=10, seed=14)
    student, last = small_student(lives), np.arange(90).reshape(3, 3, 10)[:, 2]
    lived_NA = log_probs(student, Histories(lives))
    alone = [cut(lives, rows, [0, 10]) for rows in last]
    newborn = [nll(log_probs(student, Histories(life)), life.action_N).mean() for life in alone]
    replayed = [nll(lived_NA[rows], lives.action_N[rows]).mean() for rows in last]
    found = becoming(student, lives)
    assert found["nll_newborn"] == pytest.approx(np.mean(newborn), abs=1e-6)
    assert found["gain"]["mean"] == pytest.approx(np.mean(newborn) - np.mean(replayed), abs=1e-6)


def test_lives_of_one_episode_have_nothing_to_become_by() -> None:
    lives = played(lives=3, episodes=1, trials=10, seed=15)
    assert becoming(small_student(lives), lives)["gain"] == {"mean": None, "standard_error": None}


def test_a_training_that_diverges_says_so() -> None:
    course = trainer(played(lives=4, episodes=2, trials=20, seed=9), FEW)
    course.student.head.bias.data.fill_(float("inf"))
    with pytest.raises(Diverged, match="loss is nan at step 0; lower the learning rate"):
        course.advance()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"steps": 0}, "steps 0"),
        ({"valid": 1.0}, "valid 1.0"),
        ({"minutes": 0.0}, "minutes 0.0"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float], complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        replace(FEW, **change)


def test_lives_that_cannot_be_imitated_are_refused(tmp_path: Path) -> None:
    lives = played(lives=3, episodes=1, trials=10, seed=16)
    with pytest.raises(LivesError, match="one life"):
        Imitation(lives.select([0]), None, tmp_path, "gated_delta", FEW).run()
    other = replace(lives, card=LivesCard(Box(0, 1, (), np.float32), lives.card.action_space))
    with pytest.raises(LivesError, match="test lives have spaces"):
        Imitation(lives, other, tmp_path, "gated_delta", FEW).run()
    steered = replace(lives, card=LivesCard(lives.card.observation_space, Box(0, 1, (), np.float32)))
    with pytest.raises(LivesError, match="actions of the lives are Box"):
        Imitation(steered, None, tmp_path, "gated_delta", FEW).run()
