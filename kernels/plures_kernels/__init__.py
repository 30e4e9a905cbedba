"""The maths of fast-weight memories; it knows no agents, only states, pages and tokens."""

from . import (
    average,
    context,
    delta,
    delta_product,
    gated_delta,
    gru,
    hebbian,
    kda,
    momentum,
    ssm,
    td,
    ttt_linear,
    ttt_mlp,
)
from .errors import InvalidArgument, PluresError
from .rule import Rule
from .spec import Input, Kind, Part, Spec

_FAMILY = context, hebbian, delta, gated_delta, kda, delta_product, momentum, ttt_linear, ttt_mlp, gru, ssm, average, td
RULES: dict[str, Rule] = {member.RULE.name: member.RULE for member in _FAMILY}

__all__ = ["RULES", "Input", "InvalidArgument", "Kind", "Part", "PluresError", "Rule", "Spec"]
