"""The asyncio client."""

from .acting import AsyncActStream
from .client import AsyncClient
from .cohort import AsyncCohort
from .queue import AsyncQueue
from .running import AsyncRun

__all__ = ["AsyncActStream", "AsyncClient", "AsyncCohort", "AsyncQueue", "AsyncRun"]
