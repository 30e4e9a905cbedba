"""The figures on people: units that go on where they were, and a document that says what the results say."""

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from plures_students.imitate.histories import Histories
from plures_students.imitate.likelihood import log_probs, nll
from plures_students.imitate.resume import ResumeError
from plures_students.lives import Lives
from plures_students.paper import document
from plures_students.paper.people import gain_over, loss_of_people, mean_with_interval
from plures_students.paper.scores import score_bandit, score_load
from plures_students.paper.speed import looped
from plures_students.paper.studies import FOLDS, STUDIES, Study, published_losses
from plures_students.paper.unit import RESULT, StaleUnit, Unit

from .teachers import played
from .test_imitate import FEW, small_student

ROOT = Path(__file__).parents[2]


def result(seed: int, losses: dict[int, float], choices: int = 10) -> dict[str, object]:
    people = [{"life": life, "all_nll": loss, "all_choices": choices * life} for life, loss in losses.items()]
    return {"settings": {"seed": seed}, "people": people}


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_everybody_is_held_out_once_and_never_by_a_student_of_their_own(study: Study) -> None:
    held = [study.fold(fold)[1].life_L.tolist() for fold in range(FOLDS)]
    assert sorted(chain(*held)) == study.lives().life_L.tolist()
    for fold in range(FOLDS):
        assert not set(study.fold(fold)[0].life_L.tolist()) & set(held[fold])


def test_every_fold_has_people_of_every_study_under_load() -> None:
    for fold in range(FOLDS):
        held = STUDIES["load"].fold(fold)[1]
        assert set(held.extra["dataset"]) == {"CF12", "SZ", "EEG", "fMRI", "Dev"}


def test_what_was_published_is_known_of_everybody_and_is_what_the_article_reports() -> None:
    lives = STUDIES["load"].lives()
    study_L = lives.extra["dataset"][lives.offsets[:-1]]
    published = published_losses()
    assert sorted(published) == lives.life_L.tolist()
    mean = np.mean([published[int(life)] for life in lives.life_L[study_L == "CF12"]])
    assert mean == pytest.approx(0.4463, abs=5e-5)


def test_a_person_counts_once_however_many_students_met_them() -> None:
    both = [result(0, {1: 0.2, 2: 0.5}), result(1, {1: 0.4})]
    found = loss_of_people(both, "all", pooled=False)
    assert found["mean"] == pytest.approx((0.3 + 0.5) / 2)
    assert found["people"] == 2
    assert found["low"] <= found["mean"] <= found["high"]
    assert [entry["mean"] for entry in found["by_seed"]] == pytest.approx([0.35, 0.4])


def test_pooled_a_choice_counts_once() -> None:
    found = loss_of_people([result(0, {1: 0.2, 2: 0.5})], "all", pooled=True)
    assert found["mean"] == pytest.approx((0.2 * 10 + 0.5 * 20) / 30)


def test_others_are_compared_on_the_people_that_were_met() -> None:
    found = gain_over([result(0, {1: 0.2, 2: 0.5, 7: 0.1})], "all", {1: 0.3, 2: 0.4, 3: 9.0})
    assert found["theirs"] == pytest.approx(0.35)
    assert found["mean"] == pytest.approx(0.0)


def test_one_person_has_no_interval() -> None:
    assert mean_with_interval(np.array([0.3]), np.ones(1))["low"] is None


def with_blocks(episodes: int) -> Lives:
    lives = played(lives=3, episodes=episodes, trials=6, seed=4)
    return replace(lives, extra={**lives.extra, "block": np.arange(lives.steps) // 6 % episodes + 1})


def test_late_blocks_are_foreseen_by_who_lived_the_early_ones_and_by_newborns() -> None:
    lives = with_blocks(episodes=12)
    student = small_student(lives)
    scores = score_bandit(student, lives)
    assert scores.choices_L["late"].tolist() == scores.choices_L["newborn"].tolist() == [24] * 3
    late = cut_to_late(lives)
    np.testing.assert_allclose(scores.loss_L["newborn"], score_bandit(student, late).loss_L["all"], rtol=1e-5)
    assert not np.allclose(scores.loss_L["newborn"], scores.loss_L["late"], rtol=1e-5)
    person = scores.by_person()[1]
    assert person["late_nll"] == pytest.approx(scores.loss_L["late"][1] / 24)


def cut_to_late(lives: Lives) -> Lives:
    """The last four blocks, as lives of their own."""
    late_N = lives.extra["block"] >= 9
    columns = {
        name: getattr(lives, name)[late_N] for name in ("step_N", "observation_N", "action_N", "reward_N", "done_N")
    }
    extra = {name: values[late_N] for name, values in lives.extra.items()}
    return replace(lives, offsets=np.arange(0, late_N.sum() + 1, 24), extra=extra, **columns)


def test_the_first_choice_of_a_block_counts_as_chance() -> None:
    lives = with_blocks(episodes=2).select([0])
    student = small_student(lives)
    loss_N = nll(log_probs(student, Histories(lives)), lives.action_N)
    loss_N[[0, 6]] = np.log(3)
    assert score_load(student, lives).loss_L["all"][0] == pytest.approx(loss_N.sum())


class Few(Study):
    """A study of five learners, of whom each fold holds out one."""

    def lives(self) -> Lives:
        lives = played(lives=5, episodes=12, trials=6, seed=4)
        return replace(lives, extra={**lives.extra, "block": np.arange(lives.steps) // 6 % 12 + 1})

    def fold(self, number: int) -> tuple[Lives, Lives]:
        return self.lives().select([place for place in range(5) if place != number]), self.lives().select([number])


SMALL = {"width": 16, "key_width": 4, "value_width": 4, "mlp_width": 16}
FEW_STUDY = Few("bandit", "", "gated_delta", SMALL, replace(FEW, rehearse=False), copies=2)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Unit:
    unit = Unit(FEW_STUDY, 1, 0, tmp_path_factory.mktemp("paper"))
    unit.run()
    return unit


def test_a_unit_leaves_what_it_found_and_the_lives_of_free_copies(done: Unit) -> None:
    assert done.is_done
    assert [person["life"] for person in done.result()["people"]] == [1]
    assert done.copies().lengths.tolist() == [72, 72]


def test_a_unit_that_was_cut_off_after_training_ends_the_same(done: Unit) -> None:
    before = done.result()
    (done.directory / RESULT).unlink()
    assert not done.is_done
    done.run()
    after = done.result()
    assert after["people"] == before["people"]
    assert after["training"]["curve"] == before["training"]["curve"]


def test_a_unit_of_another_recipe_is_refused(done: Unit) -> None:
    other = Unit(replace(FEW_STUDY, settings=replace(FEW_STUDY.settings, steps=13)), 1, 0, done.root)
    with pytest.raises(StaleUnit, match=r"'steps': 12.*remove it to make it anew"):
        other.result()
    with pytest.raises(ResumeError, match="begun with steps 12, not 13"):
        other.run()


def test_the_document_says_what_the_results_say() -> None:
    found = json.loads((ROOT / "bench" / "results" / "paper.json").read_text())
    assert (ROOT / "docs" / "imitation.md").read_text() == document.text(found)
    for study in STUDIES.keys() & found.keys():
        assert (ROOT / "docs" / document.PICTURES / f"{study}.png").exists()


def test_the_results_are_of_the_recipes_that_the_package_has() -> None:
    found = json.loads((ROOT / "bench" / "results" / "paper.json").read_text())
    for unit in found["units"]:
        assert unit["steps"] == STUDIES[unit["study"]].settings.steps


def test_a_loop_over_steps_trains_the_same_student() -> None:
    lives = played(lives=2, episodes=2, trials=5, seed=0)
    student = small_student(lives)
    batch = Histories(lives).batch(np.array([0, 10]), np.array([10, 20]))
    torch.testing.assert_close(looped(student)(batch.inputs)[0], student(batch.inputs)[0], rtol=1e-4, atol=1e-5)
