"""Pages in several tiers: stepped in the hottest, and moved to colder ones, the least recently stepped first.

A page lies in one tier. Its slot is given to another page only when its bytes are safe in the next tier, or when nobody
refers to it any more.

Shapes: B rows of a wave, N pages, F floats of a page.
"""

import logging

import numpy as np
import torch
from torch import Tensor

from ..errors import TierUnavailable
from .mover import Move, Mover
from .places import Handles, Slots, TierUsage
from .recency import Recency
from .tiers import TensorTier, Tier
from .whereabouts import HOT, NOBODY, NOWHERE, Levels, Whereabouts

log = logging.getLogger(__name__)

MOVED_BYTES = 8 << 20
"""States that are moved together."""
STOCKED_BYTES = 64 << 20
"""Hot slots, at most, that are kept free when more pages are in use than can be hot."""
LOOKED_AT_BYTES = 1 << 20
"""States that are read while the table of places is locked."""
MOST_HEADROOM = 4096
"""Pages, at most, that are kept free for others on their way."""


class Tiered:
    """Places in a device's memory and in colder tiers. Its `capacity` is what all hold, less some room for moves."""

    def __init__(self, hot: TensorTier, colder: list[Tier]) -> None:
        """`hot` has at least 2 pages beside the newborn one: a row reads one and writes another."""
        assert hot.capacity >= 2
        tiers: list[Tier] = [hot, *colder]
        self.hot_NF = hot.pages_NF
        # Without a free slot somewhere, nothing could move.
        self._headroom = max(1, min(MOST_HEADROOM, hot.capacity // 8))
        self.capacity = 1 + max(hot.capacity, sum(tier.capacity for tier in tiers) - self._headroom)
        self.most_rows: int | None = hot.capacity // 2
        self._tiers = dict(enumerate(tiers, HOT))
        self._where = Whereabouts(self.capacity, [1 + tier.capacity for tier in tiers])
        self._recency = {level: Recency(self._where, level) for level in range(HOT, HOT + len(colder))}
        self._mover = Mover(self._tiers)
        self._clock = 0
        self._page_bytes = 4 * self.hot_NF.shape[1]
        self._batch = max(1, MOVED_BYTES // self._page_bytes)
        self._stock = min(STOCKED_BYTES // self._page_bytes, hot.capacity // 4)

    def promise(self, count: int) -> None:
        *others, coldest = self._tiers.values()
        coldest.secure(min(coldest.capacity, count + self._headroom - sum(tier.capacity for tier in others)))

    def bring(self, read_B: Handles, write_B: Handles) -> tuple[Slots, Slots]:
        self._clock += 1
        self._take_note_of_moves()
        absent = self._touch(read_B)
        if write_B is not read_B:
            absent = np.concatenate([absent, self._touch(write_B)])
        if len(absent):
            self._fetch(np.unique(absent))
        return self._where.slot[read_B], self._where.slot[write_B]

    def vacate(self, handles: Handles) -> None:
        where = self._where
        where.move[handles] = 0
        self._give_back_all(where.level[handles], where.slot[handles])
        where.level[handles] = NOWHERE

    def get(self, handles: Handles) -> Tensor:
        states_NF = torch.zeros(len(handles), self.hot_NF.shape[1])
        few = max(1, LOOKED_AT_BYTES // self._page_bytes)
        for first in range(0, len(handles), few):
            part = handles[first : first + few]
            # Nothing that is read can move away meanwhile.
            with self._where.lock:
                level, slot = self._where.level[part], self._where.slot[part]
                for here in np.unique(level[level != NOWHERE]):
                    rows = np.flatnonzero(level == here)
                    states_NF[torch.from_numpy(first + rows)] = self._tiers[here].read(slot[rows])
        return states_NF

    def put(self, handles: Handles, states_NF: Tensor) -> None:
        assert self.most_rows is not None
        for first in range(0, len(handles), self.most_rows):
            part = handles[first : first + self.most_rows]
            slots, _ = self.bring(part, part)
            self._tiers[HOT].write(slots, states_NF[first : first + len(part)])

    def usage(self, used: int) -> list[TierUsage]:
        self._take_note_of_moves()
        return [
            TierUsage(tier.name, pages := self._held(level), pages * self._page_bytes, tier.capacity * self._page_bytes)
            for level, tier in self._tiers.items()
        ]

    def close(self) -> None:
        self._mover.close()
        for tier in self._tiers.values():
            tier.close()

    def _touch(self, handles: Handles) -> Handles:
        """Note that these are needed now; returns those that are not hot."""
        where = self._where
        where.used_at[handles] = self._clock
        if len(self._mover):
            where.move[handles] = 0
        absent: Handles = handles[where.level[handles] != HOT]
        return absent

    def _fetch(self, handles: Handles) -> None:
        """Make pages hot, as many at a time as there is room for, in the order that they lie in."""
        where = self._where
        handles = handles[np.lexsort((where.slot[handles], where.level[handles]))]
        while len(handles):
            slots = self._room(min(len(handles), self._batch))
            part, handles = handles[: len(slots)], handles[len(slots) :]
            try:
                self._fill(part, slots)
            except BaseException:
                self._tiers[HOT].slots.give_back(slots)
                raise
        self._make_room_ahead()

    def _fill(self, handles: Handles, slots: Slots) -> None:
        where = self._where
        for level in range(HOT + 1, HOT + len(self._tiers)):
            rows = np.flatnonzero(where.level[handles] == level)
            if len(rows):
                self._copy_up(level, where.slot[handles[rows]], slots[rows])
        # Copied first: until the table says otherwise, others look where pages were.
        old_level, old_slot = where.level[handles], where.slot[handles]
        where.place(handles, HOT, slots)
        self._give_back_all(old_level, old_slot)

    def _copy_up(self, level: int, source: Slots, target: Slots) -> None:
        tier = self._tiers[level]
        try:
            self._tiers[HOT].write(target, tier.read(source))
        except OSError as error:
            raise TierUnavailable(f"cold states cannot be read from {tier.name}: {error.strerror}") from error

    def _room(self, count: int) -> Slots:
        """From 1 to `count` hot slots, as soon as there are any."""
        free = self._tiers[HOT].slots
        while not len(free):
            if not len(self._mover):
                self._demote(HOT, count)
            self._take_note_of_moves(wait=True)
        return free.take(min(count, len(free)))

    def _make_room_ahead(self) -> None:
        """Keep some hot slots free, unless all pages in use could be hot."""
        hot = self._tiers[HOT]
        missing = self._stock - len(hot.slots)
        if missing > 0 and len(self._mover) < 2 and sum(map(self._held, self._tiers)) > hot.capacity:
            self._demote(HOT, min(missing, self._batch))

    def _demote(self, level: int, count: int) -> bool:
        """Begin to move pages to the next tier that has room, at most `count`; says whether any move began.

        When the next tier is full, its own oldest pages must leave first.
        """
        below = level + 1
        missing = count - len(self._tiers[below].slots)
        if missing > 0 and below in self._recency:
            began = self._demote(below, missing)
            if began and missing == count:
                return True
        target = next((lower for lower in range(below, HOT + len(self._tiers)) if len(self._tiers[lower].slots)), None)
        if target is None:
            return False
        free = self._tiers[target].slots
        oldest = self._recency[level].oldest(min(count, len(free)), before=self._clock)
        if len(oldest):
            self._begin_move(oldest, level, target)
        return len(oldest) > 0

    def _begin_move(self, handles: Handles, source: int, target: int) -> None:
        slots = self._tiers[target].slots.take(len(handles))
        move = self._mover.begin(handles, (source, self._where.slot[handles]), (target, slots))
        self._where.move[handles] = move.number

    def _take_note_of_moves(self, wait: bool = False) -> None:
        """Let pages be where they were moved to; with `wait`, at least those of one move."""
        assert len(self._mover) or not wait, "no page can move: the headroom is gone"
        while (move := self._mover.take_done(wait)) is not None:
            error = move.copied.exception()
            if error is None:
                self._arrive(move)
            else:
                self._stay(move, error, raising=wait)
            wait = False

    def _arrive(self, move: Move) -> None:
        still = self._where.move[move.handles] == move.number
        self._where.move[move.handles[still]] = 0
        self._where.place(move.handles[still], move.target, move.target_slots[still])
        self._give_back(move.source, move.source_slots[still])
        self._tiers[move.target].slots.give_back(move.target_slots[~still])

    def _stay(self, move: Move, error: BaseException, raising: bool) -> None:
        still = self._where.move[move.handles] == move.number
        self._where.move[move.handles[still]] = 0
        self._tiers[move.target].slots.give_back(move.target_slots)
        failed = f"states cannot be moved to {self._tiers[move.target].name}, and stay where they are: {error}"
        if raising:
            raise TierUnavailable(failed) from error
        log.error(failed)

    def _held(self, level: int) -> int:
        return self._tiers[level].slots.taken - self._mover.claimed(level)

    def _give_back_all(self, level_N: Levels, slot_N: Slots) -> None:
        for level in self._tiers:
            self._give_back(level, slot_N[level_N == level])

    def _give_back(self, level: int, slots: Slots) -> None:
        """No page lies in these slots any more."""
        self._where.holders[level][slots] = NOBODY
        self._tiers[level].slots.give_back(slots)
