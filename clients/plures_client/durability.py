"""What of a cohort outlives the server, as clients ask for it."""

from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from plures.v1 import agent_pb2 as pb

from .errors import InvalidArgument
from .whole import whole

Level: TypeAlias = Literal["none", "snapshot", "log"]

_LEVELS: dict[Level, "pb.DurabilityLevel.ValueType"] = {
    "none": pb.DURABILITY_LEVEL_NONE,
    "snapshot": pb.DURABILITY_LEVEL_SNAPSHOT,
    "log": pb.DURABILITY_LEVEL_LOG,
}
_NAMES = {number: name for name, number in _LEVELS.items()}


@dataclass(frozen=True)
class Durability:
    """`none`: the cohort ends with the server. `log`: it comes back with everything that was acknowledged.

    `snapshot`: it comes back as it was when last saved: when it had changed and `every_seconds` had passed (0: 60), or
    after `every_steps` Act requests and ticks of runs (0: only by time).
    """

    level: Level
    every_seconds: int = 0
    every_steps: int = 0

    @classmethod
    def read(cls, message: pb.Durability) -> Self:
        return cls(_NAMES.get(message.level, "none"), message.every_seconds, message.every_steps)


DurabilityLike: TypeAlias = Durability | Level | None
"""A durability, its level alone, or None: as the source's of a fork, `none` of any other cohort."""


def encode(durability: DurabilityLike) -> pb.Durability | None:
    """As the wire has it; raise InvalidArgument when it makes no sense."""
    if durability is None:
        return None
    wanted = durability if isinstance(durability, Durability) else Durability(durability)
    if wanted.level not in _LEVELS:
        raise InvalidArgument(f"durability {wanted.level!r} is none of {', '.join(_LEVELS)}")
    return pb.Durability(
        level=_LEVELS[wanted.level],
        every_seconds=whole(wanted.every_seconds, 32, "every_seconds"),
        every_steps=whole(wanted.every_steps, 64, "every_steps"),
    )
