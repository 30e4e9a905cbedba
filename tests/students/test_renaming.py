"""New names for what is observed."""

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.spaces import MultiDiscrete
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_kernels.errors import InvalidArgument
from plures_students.imitate.histories import Histories
from plures_students.imitate.renaming import Renaming
from plures_students.lives import Lives

from .teachers import played

EPISODES, TRIALS = 4, 12


def cued(seed: int = 0) -> Lives:
    """Lives with cues of three kinds, a constant, and the cue before (3: none)."""
    lives = played(lives=2, episodes=EPISODES, trials=TRIALS, seed=seed, observations=3)
    cue_N = lives.observation_N
    before_N = np.where(np.arange(lives.steps) % TRIALS == 0, 3, np.roll(cue_N, 1))
    columns = np.stack([cue_N, np.ones_like(cue_N), before_N], axis=1).astype(np.int32)
    return replace(lives, card=replace(lives.card, observation_space=MultiDiscrete([3, 2, 4])), observation_N=columns)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 50), step=st.integers(0, 50), first=st.integers(0, EPISODES - 1))
def test_within_an_episode_each_name_stands_for_one_other(seed: int, step: int, first: int) -> None:
    lives = cued()
    start_B, stop_B = np.array([first * TRIALS, EPISODES * TRIALS]), np.array([EPISODES * TRIALS] * 2)
    stop_B = np.array([EPISODES * TRIALS, 2 * EPISODES * TRIALS])
    batch = Histories(lives).batch(start_B, stop_B)
    old_BTC = batch.inputs.observation.numpy()
    new_BTC = Renaming(lives, (0, 2), seed)(batch, start_B, step).inputs.observation.numpy()
    for row, rows in enumerate(stop_B - start_B):
        for episode in range(0, rows, TRIALS):
            old_TC, new_TC = (x[row, episode : episode + TRIALS] for x in (old_BTC, new_BTC))
            pairs = {(int(a), int(b)) for c in (0, 2) for a, b in zip(old_TC[:, c], new_TC[:, c], strict=True)}
            assert len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs})
            assert {b for a, b in pairs if a == 3} == {3}
            assert (new_TC[:, 1] == 1).all()


def test_names_differ_between_episodes_and_belong_to_a_step() -> None:
    lives = cued()
    start_B, stop_B = np.array([0]), np.array([EPISODES * TRIALS])
    batch = Histories(lives).batch(start_B, stop_B)
    named = [Renaming(lives, (0,), 0)(batch, start_B, step).inputs.observation for step in (*range(8), 0)]
    assert (named[0] == named[8]).all()
    shifts = [(((x - batch.inputs.observation)[0, ::TRIALS, 0]) % 3).tolist() for x in named]
    assert any(len(set(shift)) > 1 for shift in shifts)
    assert len({tuple(shift) for shift in shifts}) > 1


def test_only_columns_that_are_there_are_renamed() -> None:
    lives = cued()
    with pytest.raises(InvalidArgument, match=r"columns \[3\] of them cannot be renamed"):
        Renaming(lives, (3,), 0)
    with pytest.raises(InvalidArgument, match="Discrete"):
        Renaming(played(lives=1, episodes=1, trials=2, seed=0), (0,), 0)
