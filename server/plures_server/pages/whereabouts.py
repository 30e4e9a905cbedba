"""Which tier each page lies in, and at which slot of it. Changed by the thread that owns pages, looked up by any."""

import threading

import numpy as np
from numpy.typing import NDArray

from .places import NEWBORN, Handles, Slots

Levels = NDArray[np.int8]

NOWHERE, HOT = 0, 1
"""Levels: of a page that was not written yet, and of the tier that pages are stepped in; colder ones follow."""
NOBODY = NEWBORN
"""Holder of a slot that no page lies in: the newborn page never moves, and needs no entry."""


class Whereabouts:
    """Tables by handle, and back from slots. Whoever holds the lock finds every page where it is said to be."""

    def __init__(self, pages: int, slots: list[int]) -> None:
        """`slots`: of each level from HOT on."""
        # Zeros cost no memory before they are touched.
        self.level = np.zeros(pages, np.int8)
        self.slot = np.zeros(pages, np.int32)
        self.level[NEWBORN] = HOT
        # When it was last made ready to be stepped.
        self.used_at = np.zeros(pages, np.int64)
        # Number of the move that a page is part of; 0 when it stays, or when it was needed before the move was done.
        self.move = np.zeros(pages, np.int64)
        self.holders = [np.zeros(0, np.int32), *(np.zeros(count, np.int32) for count in slots)]
        self.lock = threading.Lock()

    def place(self, handles: Handles, level: int, slots: Slots) -> None:
        """From now on these pages lie here. The slots they leave are the caller's to clear."""
        with self.lock:
            self.level[handles] = level
            self.slot[handles] = slots
        self.holders[level][slots] = handles

    def held(self, level: int) -> Handles:
        """The pages of a tier."""
        holders = self.holders[level]
        held: Handles = holders[holders != NOBODY]
        return held
