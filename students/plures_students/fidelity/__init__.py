"""How alike the behaviour of teacher and copies is, when both are free."""

from .bounds import compare_within_bounds
from .compare import compare_lives, compare_rates
from .picture import draw_behaviour

__all__ = ["compare_lives", "compare_rates", "compare_within_bounds", "draw_behaviour"]
