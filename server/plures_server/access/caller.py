"""Who calls: set at the edge for the task that serves the call."""

from contextvars import ContextVar

tenant: ContextVar[str] = ContextVar("tenant", default="")
"""The caller's tenant; "" where there are none."""
