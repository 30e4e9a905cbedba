"""The maths of fast-weight memories; it knows no agents, only states, pages and tokens."""

from . import gated_delta
from .errors import InvalidArgument, PluresError
from .rule import Rule

RULES: dict[str, Rule] = {"gated_delta": gated_delta}

__all__ = ["RULES", "InvalidArgument", "PluresError", "Rule", "gated_delta"]
