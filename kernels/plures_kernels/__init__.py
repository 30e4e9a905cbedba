"""The maths of fast-weight memories; it knows no agents, only states, pages and tokens."""

from . import gated_delta

RULES = {"gated_delta": gated_delta}

__all__ = ["RULES", "gated_delta"]
