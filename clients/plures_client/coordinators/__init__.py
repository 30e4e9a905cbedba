"""Coordinators: split a problem over the copies of a cohort through a shared queue, and combine what they find."""

from .halving import Halving
from .map import Map
from .problem import Contest, Heat, Outcome, Problem, Results
from .progress import Report, Step, progress_bar
from .schedule import Schedule

__all__ = [
    "Contest",
    "Halving",
    "Heat",
    "Map",
    "Outcome",
    "Problem",
    "Report",
    "Results",
    "Schedule",
    "Step",
    "progress_bar",
]
