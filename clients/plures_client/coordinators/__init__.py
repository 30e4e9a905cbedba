"""Coordinators: split a problem over the copies of a cohort through a shared queue, and combine what they find."""

from .asking import Asking
from .best_of import BestOf
from .halving import Halving
from .map import Map
from .map_reduce import MapReduce
from .particles import Particles
from .pool import Pool
from .problem import (
    Branching,
    Children,
    Choosing,
    Contest,
    Heat,
    Lasting,
    Nodes,
    Outcome,
    Portioned,
    Problem,
    Results,
    Scored,
)
from .progress import Report, Step, progress_bar
from .schedule import Schedule
from .tree import Tree
from .vote import Vote

__all__ = [
    "Asking",
    "BestOf",
    "Branching",
    "Children",
    "Choosing",
    "Contest",
    "Halving",
    "Heat",
    "Lasting",
    "Map",
    "MapReduce",
    "Nodes",
    "Outcome",
    "Particles",
    "Pool",
    "Portioned",
    "Problem",
    "Report",
    "Results",
    "Schedule",
    "Scored",
    "Step",
    "Tree",
    "Vote",
    "progress_bar",
]
