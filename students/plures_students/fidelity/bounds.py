"""Copies beside their teacher, between the nearest that copies could come and the least that they should do."""

from typing import Any

from ..bandits import Bandits, can_play
from ..classic import can_fit, fit_classic
from ..classic_mind import Classic
from ..lives import Lives
from .compare import compare_lives
from .telling import FEWEST, halves_told_apart, told_apart

Report = dict[str, Any]


def compare_within_bounds(teacher: Lives, copies: Lives, each: int, seed: int = 0) -> Report:
    """What `compare_lives` finds, and how well lives can be told apart by their first steps.

    `told_apart`: of copies, and of random halves of the teacher's lives, the nearest that copies can come; empty where
    there are fewer than FEWEST lives of either. `floor`: the same distances of the classic learner, fitted to the
    teacher's lives and set free on their tasks, `each` for a life; None where lives do not say what was played, or
    are not for classic learners.
    """
    floor = _floor(teacher, each, seed) if can_play(teacher) and can_fit(teacher) else None
    told = _told(teacher, copies, seed)
    return {**compare_lives(teacher, copies, seed), "told_apart": told, "floor": floor}


def _told(teacher: Lives, copies: Lives, seed: int) -> Report:
    if min(len(teacher), len(copies)) < FEWEST:
        return {}
    return {"copies": told_apart(teacher, copies, seed), "halves": halves_told_apart(teacher, seed)}


def _floor(teacher: Lives, each: int, seed: int) -> Report:
    """The learner is fitted to the very lives that it is compared with: nothing is held out from it."""
    learner = fit_classic(teacher)
    lived = Bandits(teacher).relive_by(Classic(learner), each, seed)
    report = compare_lives(teacher, lived, seed)
    return {
        "learner": learner.to_json(),
        "distances": {name: measure["distance"] for name, measure in report["measures"].items()},
        "run_length": report["run_length"]["distance"],
        "told_apart": told_apart(teacher, lived, seed) if min(len(teacher), len(lived)) >= FEWEST else [],
    }
