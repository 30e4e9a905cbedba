"""Recorded lives: what is written is read again, and what breaks the contract is refused by row, column and value."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_students.lives import Lives, LivesCard, LivesError, copy_shipped, read_lives, split, write_lives

COLUMNS: dict[str, list[Any]] = {
    "life": [3, 3, 3, 7, 7],
    "step": [0, 1, 5, 0, 1],
    "action": [0, 1, 1, 0, 1],
    "reward": [0.0, 1.0, 0.5, 0.0, -1.0],
    "done": [False, True, False, False, True],
    "mood": ["a", "b", "c", "d", "e"],
}


def store(directory: Path, changes: dict[str, Any] | None = None, observation: Space[Any] | None = None) -> Path:
    """A data set of COLUMNS, some changed (None: left out)."""
    columns = {name: values for name, values in {**COLUMNS, **(changes or {})}.items() if values is not None}
    pq.write_table(pa.table(columns), directory / "lives.parquet")
    LivesCard(observation or Discrete(1), Discrete(2)).save(directory)
    return directory


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Lives:
    directory = tmp_path_factory.mktemp("people") / "bandit"
    copy_shipped("dezfouli2019_bandit", directory)
    return read_lives(directory)


def test_lives_are_ragged_rows_with_their_extra_columns(tmp_path: Path) -> None:
    lives = read_lives(store(tmp_path))
    assert lives.life_L.tolist() == [3, 7]
    assert lives.lengths.tolist() == [3, 2]
    assert lives.reward_N[lives.rows(1)].tolist() == [0.0, -1.0]
    assert lives.observation_N.tolist() == [0] * 5
    assert lives.extra["mood"].tolist() == list("abcde")


def test_an_episode_ends_when_done_or_with_its_life(tmp_path: Path) -> None:
    assert read_lives(store(tmp_path)).episodes().tolist() == [0, 2, 3, 5]


@pytest.mark.parametrize("observation", [Discrete(1), Discrete(4), MultiDiscrete([2, 3]), Box(-1, 1, (2,), np.float32)])
def test_reading_is_the_inverse_of_writing(tmp_path: Path, observation: Space[Any]) -> None:
    columns = {"observation": [0, 0, 0, 0, 0]}
    if observation.shape:
        columns = {"observation_0": [0, 1, 0, 1, 0], "observation_1": [1, 1, 1, 0, 0]}
    lives = read_lives(store(tmp_path, columns, observation))
    write_lives(tmp_path / "again", lives)
    again = read_lives(tmp_path / "again")
    for name in ("life_L", "offsets", "step_N", "observation_N", "action_N", "reward_N", "done_N"):
        np.testing.assert_array_equal(getattr(again, name), getattr(lives, name))
    assert again.extra["mood"].tolist() == lives.extra["mood"].tolist()
    assert again.card == lives.card


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"reward": None}, "misses the column reward"),
        ({"action": ["l", "r", "r", "l", "r"]}, "column action holds string, not whole numbers"),
        ({"action": [0, 1, 2, 0, 1]}, "action 2 of row 2 is not in Discrete"),
        ({"action": [0, 1, None, 0, 1]}, "action of row 2 is null"),
        ({"reward": [0, 0, 0, float("nan"), 0]}, "reward of row 3 is nan"),
        ({"reward": [0, float("-inf"), 0, 0, 0]}, "reward of row 1 is -inf"),
        ({"reward": [0, 0, 1e300, 0, 0]}, "reward of row 2 is 1e.300"),
        ({"done": [0, 1, 0, 2, 1]}, "done of row 3 is 2, not 0 or 1"),
        ({"step": [0, 1, 5, 4, 3]}, r"step of row 4 \(life 7\) is 3 after 4"),
        ({"step": [0, 1, 1, 0, 1]}, r"step of row 2 \(life 3\) is 1 after 1"),
        ({"life": [3, 3, 7, 7, 3]}, "life 3 begins again in row 4"),
        ({"life": [], "step": [], "action": [], "reward": [], "done": [], "mood": []}, "has no rows"),
    ],
)
def test_a_broken_table_is_refused_by_row_and_value(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(LivesError, match=complaint) as refusal:
        read_lives(store(tmp_path, changes))
    assert str(tmp_path / "lives.parquet") in str(refusal.value)


def test_an_observation_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    changes = {"observation_0": [0.0, 1.0, float("nan"), 0.0, 0.0]}
    with pytest.raises(LivesError, match="observation nan of row 2"):
        read_lives(store(tmp_path, changes, Box(-1, 1, (1,), np.float32)))


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    (store(tmp_path) / "lives.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(LivesError, match="cannot be read as Parquet"):
        read_lives(tmp_path)


@pytest.mark.parametrize(
    ("card", "complaint"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds a list, not an object"),
        ('{"action_space": {"type": "Discrete", "n": 2}}', "misses observation_space"),
        ('{"observation_space": {"type": "Dict"}, "action_space": {}}', "observation_space: space type 'Dict'"),
        ({"seconds_per_decision": -1}, "seconds_per_decision -1 is not a positive number"),
        ({"license": "MIT"}, "unknown entries license"),
    ],
)
def test_a_broken_card_is_refused(tmp_path: Path, card: Any, complaint: str) -> None:
    path = store(tmp_path) / "card.json"
    path.write_text(card if isinstance(card, str) else json.dumps({**json.loads(path.read_text()), **card}))
    with pytest.raises(LivesError, match=complaint):
        read_lives(tmp_path)


@settings(deadline=None, max_examples=20)
@given(share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_a_split_shares_out_every_life_once(people: Lives, share: float, seed: int) -> None:
    first, second = split(people, share, seed)
    assert sorted([*first.life_L, *second.life_L]) == people.life_L.tolist()
    assert len(first) == min(max(round(share * 101), 1), 100)
    assert first.steps + second.steps == people.steps


def test_a_selected_life_is_the_same_life(people: Lives) -> None:
    alone = people.select([41])
    rows = people.rows(41)
    assert alone.life_L.tolist() == [42]
    np.testing.assert_array_equal(alone.action_N, people.action_N[rows])
    np.testing.assert_array_equal(alone.extra["block"], people.extra["block"][rows])


def test_the_shipped_people_are_those_that_were_published(people: Lives) -> None:
    """Dezfouli et al. 2019: 101 people, 12 blocks each, 132,251 presses; rewards are not turned round."""
    better_N = people.action_N == people.extra["best_action"]
    assert (len(people), people.steps, len(people.episodes()) - 1) == (101, 132_251, 101 * 12)
    assert people.reward_N[better_N].mean() == pytest.approx(0.148, abs=5e-4)
    assert people.reward_N[~better_N].mean() == pytest.approx(0.055, abs=5e-4)
    assert people.card.licence == "Apache-2.0"


def test_people_press_at_a_human_pace(people: Lives) -> None:
    """Blocks lasted 40 s for all people, although the clock of some counted seconds."""
    seconds_N = people.extra["seconds"]
    spans = np.array([np.nansum(seconds_N[start:stop]) for start, stop in pairwise(people.episodes())])
    middle = np.median(spans.reshape(101, 12), axis=1)
    assert 30 < middle.min() <= middle.max() < 40
    assert people.card.seconds_per_decision == pytest.approx(np.nanmedian(seconds_N), abs=1e-3)


def test_the_shipped_learners_under_load_are_those_that_were_published(tmp_path: Path) -> None:
    """Collins 2025: people of five studies, and so many scored choices as its likelihoods had (AIC and BIC tell)."""
    copy_shipped("rlwm_collins2025", tmp_path / "load")
    lives = read_lives(tmp_path / "load")
    study_N = lives.extra["dataset"].astype(str)
    studies, choices = np.unique(study_N, return_counts=True)
    assert dict(zip(studies.tolist(), choices.tolist(), strict=True)) == {
        "CF12": 52_911, "Dev": 139_990, "EEG": 29_788, "SZ": 46_417, "fMRI": 19_118,
    }  # fmt: skip
    people = [len(np.unique(lives.life_of_row_N[study_N == study])) for study in studies]
    assert people == [79, 300, 40, 85, 26]
    right_N = lives.action_N == lives.extra["best_action"]
    assert (right_N == (lives.reward_N == 1)).all()
    assert right_N[lives.extra["iteration"] == 1].mean() == pytest.approx(1 / 3, abs=0.03)
    assert lives.card.licence == "MIT"


def test_the_feedback_seen_is_about_the_stimulus_before(tmp_path: Path) -> None:
    copy_shipped("rlwm_collins2025", tmp_path / "load")
    lives = read_lives(tmp_path / "load")
    start, stop = lives.episodes()[100:102]
    stimulus_N, about_N = lives.observation_N[start:stop, 0], lives.observation_N[start:stop, 2]
    assert about_N.tolist() == [6, *stimulus_N[:-1]]
    assert stimulus_N.max() == lives.observation_N[start, 1] == lives.observation_N[stop - 1, 1]
