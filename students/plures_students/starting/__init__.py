"""Where students start before they are trained, if their rule has a classic learner in it: at that learner."""

from typing import TYPE_CHECKING

from .averages import can_start_at_averages, start_at_averages
from .values import can_start_at_values, start_at_values

if TYPE_CHECKING:
    from ..model import Student

_STARTS = (can_start_at_averages, start_at_averages), (can_start_at_values, start_at_values)

__all__ = ["can_start_at_averages", "can_start_at_values", "start"]


def start(student: "Student") -> None:
    """Put a newly made student at the classic learner that it has room for, if any."""
    for can_start, start_there in _STARTS:
        if can_start(student.config):
            start_there(student)
