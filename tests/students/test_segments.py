"""Which parts of lives a training step sees."""

import numpy as np
from plures_students.imitate import ImitationSettings
from plures_students.imitate.segments import Segments
from plures_students.teachers import DarkRoom, QLearner, record

SHORT = {"batch": 400, "short": 10, "length": 20}


def starts(**settings: bool) -> set[int]:
    lives = record(DarkRoom(3, episode=5), QLearner(), lives=8, steps=20, seed=0)
    segments = Segments(lives, 5, ImitationSettings(**SHORT, **settings))
    drawn = (segments.draw(step, 1.0) for step in range(20))
    return {int(start) for start_B, *_ in drawn for start in np.asarray(start_B)}


def test_segments_begin_with_episodes() -> None:
    assert starts() == set(range(0, 160, 5))


def test_segments_begin_with_lives_alone_where_that_is_asked_for() -> None:
    assert starts(births=True) == set(range(0, 160, 20))
