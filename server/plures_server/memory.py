"""Memory: how that of a pool is divided among the states of different students."""

import torch

from .errors import PoolFull, UnknownStudent
from .pages import ColdConfig, MakePages, Pages
from .students import Hosted


class Memory:
    """Pages of each student: equal parts at the start. Who comes later gets memory that nobody has written to."""

    def __init__(
        self,
        students: list[Hosted],
        device: torch.device,
        memory_bytes: int,
        cold: ColdConfig,
        most: int,
        make_pages: MakePages,
    ) -> None:
        """`most`: pages that a student may have at most."""
        self._make_pages = make_pages
        self._device = device
        self._memory_bytes = memory_bytes
        self._most = most
        self._pages = {
            student.name: make_pages(student, device, memory_bytes, cold, len(students), most) for student in students
        }

    def all(self) -> list[Pages]:
        return list(self._pages.values())

    def of(self, student: Hosted) -> Pages:
        try:
            return self._pages[student.name]
        except KeyError:
            raise UnknownStudent(f"student {student.name!r} was unloaded; load it again") from None

    def take_in(self, student: Hosted) -> Pages:
        """Pages for one more; raise PoolFull, and change nothing, when all memory was written to."""
        share = self._memory_bytes // (len(self._pages) + 1)
        for pages in self.all():
            pages.lend(max(0, pages.capacity - share // pages.page_bytes))
        try:
            free = min(self._free_bytes, share)
            made = self._make_pages(student, self._device, free, ColdConfig(), 1, self._most)
        except PoolFull:
            self._return_free()
            raise
        self._pages[student.name] = made
        return made

    def forget(self, student: Hosted) -> None:
        """Give up a student's pages; those that had lent memory have it again."""
        self._pages.pop(student.name).places.close()
        self._return_free()

    @property
    def _free_bytes(self) -> int:
        """Memory that is nobody's; newborn pages come on top of it."""
        return max(0, self._memory_bytes - sum((pages.capacity - 1) * pages.page_bytes for pages in self.all()))

    def _return_free(self) -> None:
        # By what is free now, not by who lent what to whom: lenders and borrowers may have gone and come back since.
        for pages in self.all():
            pages.take_back(self._free_bytes // pages.page_bytes)
