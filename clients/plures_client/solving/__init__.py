"""What `plures solve` does: problems by name, ways to work on them at equal cost, and what working together buys."""

from .cases import CASES, Case
from .compare import Comparison, Standing, Trial, compare, sweep
from .laws import Law, power_law, scalability_law
from .plan import Budget, Plan

__all__ = [
    "CASES",
    "Budget",
    "Case",
    "Comparison",
    "Law",
    "Plan",
    "Standing",
    "Trial",
    "compare",
    "power_law",
    "scalability_law",
    "sweep",
]
