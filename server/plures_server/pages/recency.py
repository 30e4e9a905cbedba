"""Which of a tier's pages were stepped longest ago."""

import numpy as np

from .places import Handles
from .whereabouts import Whereabouts


class Recency:
    """Gives the least recently used pages, a few at a time, after looking at all of them once in a while."""

    def __init__(self, where: Whereabouts, level: int) -> None:
        self._where = where
        self._level = level
        # The oldest at the last look, oldest first. All others were used later than these.
        self._queue = np.empty(0, np.int32)
        self._seen_at = np.empty(0, np.int64)

    def oldest(self, count: int, before: int) -> Handles:
        """At most `count` pages that lie still and were not used since the clock stood at `before`; none if none is."""
        self._drop_stale()
        if not len(self._queue):
            self._look(count, before)
        oldest, self._queue = self._queue[:count], self._queue[count:]
        self._seen_at = self._seen_at[count:]
        return oldest

    def _drop_stale(self) -> None:
        """Forget pages that were used, moved or freed since the last look."""
        where, queue = self._where, self._queue
        same = (where.used_at[queue] == self._seen_at) & (where.level[queue] == self._level) & (where.move[queue] == 0)
        self._queue, self._seen_at = queue[same], self._seen_at[same]

    def _look(self, least: int, before: int) -> None:
        where = self._where
        pages = where.held(self._level)
        pages = pages[(where.used_at[pages] < before) & (where.move[pages] == 0)]
        # An eighth of all, so that a look at all is paid by many.
        count = max(least, len(pages) // 8)
        if count < len(pages):
            pages = pages[np.argpartition(where.used_at[pages], count)[:count]]
        self._queue = pages[np.argsort(where.used_at[pages], kind="stable")]
        self._seen_at = where.used_at[self._queue]
