"""What free copies are held to."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_students.bandits import Played
from plures_students.imitate.moments import Learning, Persistence
from plures_students.lives import Lives
from torch import Tensor

from .teachers import played


def trials(lives: Lives) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.concatenate([np.arange(stop - start) for start, stop in pairwise(lives.episodes())])


def as_played(lives: Lives) -> tuple[Played, Tensor]:
    """The recorded episodes as if copies had played them, sure of each choice that was made."""
    spans = np.array(list(pairwise(lives.episodes())))
    row_BT = torch.from_numpy(spans[:, :1]) + torch.arange(int(np.diff(spans).max()))
    real_BT = row_BT < torch.from_numpy(spans[:, 1:])
    row_BT = row_BT.clamp(max=lives.steps - 1)
    action_BT = torch.from_numpy(lives.action_N)[row_BT].long()
    result = Played(row_BT, None, action_BT, torch.from_numpy(lives.reward_N)[row_BT], real_BT, None)  # type: ignore[arg-type]
    return result, torch.nn.functional.one_hot(action_BT, 2).float()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 100), length=st.integers(1, 30))
def test_copies_that_do_what_teachers_did_have_no_gaps(seed: int, length: int) -> None:
    lives = played(lives=3, episodes=2, trials=length, seed=seed)
    result, prob_BTA = as_played(lives)
    best_BT = torch.from_numpy(lives.extra["best_action"])[result.row_BT]
    learning, persistence = Learning(lives, trials(lives)), Persistence(lives, trials(lives))
    for moments, (mean_M, count_M) in (
        (learning.moments, learning.of(result, prob_BTA, best_BT)),
        (persistence.moments, persistence.of(result, prob_BTA)),
    ):
        torch.testing.assert_close(mean_M, moments.teacher_M)
        torch.testing.assert_close(count_M / count_M.sum().clamp(min=1), moments.weight_M)


def test_staying_is_counted_by_the_run_and_by_what_it_brought() -> None:
    lives = played(lives=1, episodes=2, trials=4, seed=0)
    lives.action_N[:] = [0, 0, 0, 1, 1, 1, 0, 0]
    lives.reward_N[:] = [0, 1, 0, 0, 1, 0, 0, 0]
    moments = Persistence(lives, trials(lives)).moments
    # After one without reward: stayed at rows 1 and 7; with: at 5. After two: with, at 2; without, not at 6. After
    # three without: not at 3. The first row of an episode follows nothing.
    assert moments.teacher_M[:6].tolist() == [1, 1, 0, 1, 0, 0]
    assert (moments.weight_M * 6).round().tolist()[:6] == [2, 1, 1, 1, 1, 0]
