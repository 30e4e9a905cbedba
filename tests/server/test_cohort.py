"""A cohort's agents: which selections it takes."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from plures_server.cohort import Cohort, has_repeats
from plures_server.lineage import Lineage

from .helpers import served, small_student


@given(st.lists(st.integers(0, 30), max_size=40))
def test_repeats_are_found_in_any_order(ordinals: list[int]) -> None:
    assert has_repeats(np.array(ordinals, np.int64), 31) == (len(set(ordinals)) < len(ordinals))


def newborns(count: int) -> Cohort:
    anchor, lineage = np.zeros(count, np.int32), Lineage("joe", "joe")
    return Cohort.newborn("joe", served(small_student()), count, 0, anchor, lineage)


def test_a_selection_keeps_its_order() -> None:
    cohort = newborns(9)
    assert cohort.check(np.array([7, 0, 3])).tolist() == [7, 0, 3]


def test_a_million_agents_are_checked_in_a_moment() -> None:
    million = 1_000_000
    cohort = newborns(million)
    shuffled = np.random.default_rng(0).permutation(million)
    began = time.perf_counter()
    cohort.check(np.arange(million))
    cohort.check(shuffled)
    # 0.02 s alone on a machine; sorting takes ten times as long, a loop a hundred times.
    assert time.perf_counter() - began < 0.5
