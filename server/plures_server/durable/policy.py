"""What of a cohort outlives the server, and when the server brings it to the disk."""

from dataclasses import dataclass
from enum import StrEnum

from plures.v1 import agent_pb2 as pb

from ..errors import InvalidArgument


class Level(StrEnum):
    """How much comes back: nothing, the last automatic snapshot, or everything that was acknowledged."""

    NONE = "none"
    SNAPSHOT = "snapshot"
    LOG = "log"


@dataclass(frozen=True)
class Durability:
    """A cohort's level; for snapshots, after how many seconds, and after how many steps (0: only by time)."""

    level: Level = Level.NONE
    every_seconds: int = 60
    every_steps: int = 0


@dataclass(frozen=True)
class DurableConfig:
    """`segment_bytes`: a log goes on in a new file when one is so large.

    A checkpoint is due when the log has grown by `checkpoint_bytes` and by as much as the last checkpoint took, or when
    its agents have made `checkpoint_steps` steps, which is what a recovery has to do again. `pause_seconds`: least time
    between two checkpoints of the same cohorts, and between two attempts.
    """

    segment_bytes: int = 64 << 20
    checkpoint_bytes: int = 64 << 20
    checkpoint_steps: int = 100_000_000
    pause_seconds: float = 1.0


_LEVELS = {
    pb.DURABILITY_LEVEL_NONE: Level.NONE,
    pb.DURABILITY_LEVEL_SNAPSHOT: Level.SNAPSHOT,
    pb.DURABILITY_LEVEL_LOG: Level.LOG,
}
_MESSAGES = {level: number for number, level in _LEVELS.items()}


def durability_message(durability: Durability) -> pb.Durability:
    """As the wire has it."""
    if durability.level is not Level.SNAPSHOT:
        return pb.Durability(level=_MESSAGES[durability.level])
    return pb.Durability(
        level=pb.DURABILITY_LEVEL_SNAPSHOT,
        every_seconds=durability.every_seconds,
        every_steps=durability.every_steps,
    )


def durability_from(message: pb.Durability) -> Durability | None:
    """What a message asks for; None when it leaves that open. Raises InvalidArgument when it makes no sense."""
    if message.level == pb.DURABILITY_LEVEL_UNSPECIFIED and not (message.every_seconds or message.every_steps):
        return None
    if (level := _LEVELS.get(message.level)) is None:
        raise InvalidArgument(f"durability has level {message.level}; known: {', '.join(_LEVELS.values())}")
    if level is Level.SNAPSHOT:
        return Durability(level, message.every_seconds or Durability.every_seconds, message.every_steps)
    if message.every_seconds or message.every_steps:
        raise InvalidArgument(f"durability {level} takes no every_seconds or every_steps; those are for snapshots")
    return Durability(level)
