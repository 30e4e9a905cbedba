"""The mover: a thread that copies pages to colder tiers, while agents go on stepping."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from plures_kernels.threads import use_one_core

from .places import Handles, Slots
from .tiers import Tier


@dataclass(frozen=True)
class Move:
    """Pages that are copied from slots of one level to slots of another.

    Until it is done they count as where they were. One that is used, freed or fetched meanwhile stays out of it: what
    was copied of it is worth nothing then.
    """

    number: int
    handles: Handles
    source: int
    source_slots: Slots
    target: int
    target_slots: Slots
    copied: "Future[None]"


class Mover:
    """Moves under way, the oldest first, which is the order they are done in."""

    def __init__(self, tiers: dict[int, Tier]) -> None:
        """`tiers`: by level."""
        self._tiers = tiers
        self._begun = 0
        self._under_way: deque[Move] = deque()
        self._thread = ThreadPoolExecutor(1, "mover", use_one_core)

    def __len__(self) -> int:
        """Moves under way."""
        return len(self._under_way)

    def claimed(self, level: int) -> int:
        """Slots of a tier that moves copy to."""
        return sum(len(move.target_slots) for move in self._under_way if move.target == level)

    def begin(self, handles: Handles, source: tuple[int, Slots], target: tuple[int, Slots]) -> Move:
        """Begin to copy pages from slots of a level to slots of another."""
        self._begun += 1
        copied = self._thread.submit(self._copy, *source, *target)
        move = Move(self._begun, handles, *source, *target, copied)
        self._under_way.append(move)
        return move

    def take_done(self, wait: bool) -> Move | None:
        """The oldest move, if it is done, or when it is; its copy may have failed. None when none is."""
        if not self._under_way or not (wait or self._under_way[0].copied.done()):
            return None
        move = self._under_way.popleft()
        move.copied.exception()  # waits
        return move

    def close(self) -> None:
        """End the thread when it has done what it was told."""
        self._thread.shutdown()

    def _copy(self, source: int, source_slots: Slots, target: int, target_slots: Slots) -> None:
        self._tiers[target].write(target_slots, self._tiers[source].read(source_slots))
