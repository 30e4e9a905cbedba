"""Problems that ship with the client, each with a check that its answer is right."""

from .best_arm import BestArm, BestArmAnswer
from .branches import Branches, Leaf
from .functions import Function
from .goal_search import Exploration, Found, GoalSearch
from .minimise import Minimise, Minimum
from .portfolio import Earned, Portfolio, World
from .regions import Regions

__all__ = [
    "BestArm",
    "BestArmAnswer",
    "Branches",
    "Earned",
    "Exploration",
    "Found",
    "Function",
    "GoalSearch",
    "Leaf",
    "Minimise",
    "Minimum",
    "Portfolio",
    "Regions",
    "World",
]
