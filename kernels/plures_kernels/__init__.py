"""The maths of fast-weight memories; it knows no agents, only states, pages and tokens."""

from . import gated_delta, momentum, ttt_linear
from .errors import InvalidArgument, PluresError
from .rule import Rule
from .spec import Input, Kind, Part, Spec

RULES: dict[str, Rule] = {rule.name: rule for rule in (gated_delta.RULE, momentum.RULE, ttt_linear.RULE)}

__all__ = ["RULES", "Input", "InvalidArgument", "Kind", "Part", "PluresError", "Rule", "Spec"]
