"""The blocking client: the same surface, each call run on an event loop in a thread of its own."""

from .cohort import Cohort
from .queue import Queue
from .streams import ActStream, Run

__all__ = ["ActStream", "Cohort", "Queue", "Run"]
