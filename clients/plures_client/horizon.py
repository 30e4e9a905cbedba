"""What becomes of agents that have lived longer than their student was shown to be faithful for."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast, get_args

from plures.v1 import agent_pb2

from .errors import InvalidArgument

HorizonPolicy: TypeAlias = Literal["ignore", "warn", "retire", "reanchor"]
"""warn: `ActResult.beyond_horizon` counts them. retire: they end. reanchor: each begins again as a newborn."""

_NUMBERS: Mapping[str, agent_pb2.HorizonPolicy.ValueType] = {
    policy: agent_pb2.HorizonPolicy.Value(f"HORIZON_POLICY_{policy.upper()}") for policy in get_args(HorizonPolicy)
}


def encode(policy: HorizonPolicy | None) -> agent_pb2.HorizonPolicy.ValueType:
    """The policy as the wire says it; None leaves it to the server."""
    if policy is None:
        return agent_pb2.HORIZON_POLICY_UNSPECIFIED
    if policy not in _NUMBERS:
        raise InvalidArgument(f"horizon_policy={policy!r} given; it is one of {', '.join(_NUMBERS)}")
    return _NUMBERS[policy]


def read(number: agent_pb2.HorizonPolicy.ValueType) -> HorizonPolicy:
    """The policy that a server told; one older than policies tells none, and ignores horizons."""
    names = {value: name for name, value in _NUMBERS.items()}
    return cast(HorizonPolicy, names.get(number, "ignore"))
