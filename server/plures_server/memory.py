"""Memory: how that of a pool is divided among the states of different students."""

import torch

from .errors import PoolFull, UnknownStudent
from .pages import ColdConfig, Pages, make_pages
from .students import ServedStudent


class Memory:
    """Pages of each student: equal parts at the start. Who comes later gets memory that nobody has written to."""

    def __init__(
        self, students: list[ServedStudent], device: torch.device, memory_bytes: int, cold: ColdConfig, most: int
    ) -> None:
        """`most`: pages that a student may have at most."""
        self._device = device
        self._memory_bytes = memory_bytes
        self._most = most
        self._loans: dict[str, dict[str, int]] = {}
        self._pages = {
            student.name: make_pages(student, device, memory_bytes, cold, len(students), most) for student in students
        }

    def all(self) -> list[Pages]:
        return list(self._pages.values())

    def of(self, student: ServedStudent) -> Pages:
        try:
            return self._pages[student.name]
        except KeyError:
            raise UnknownStudent(f"student {student.name!r} was unloaded; load it again") from None

    def take_in(self, student: ServedStudent) -> Pages:
        """Pages for one more; raise PoolFull, and change nothing, when all memory was written to."""
        share, loans = self._memory_bytes // (len(self._pages) + 1), {}
        for name, pages in self._pages.items():
            loans[name] = pages.lend(max(0, pages.capacity - share // pages.page_bytes))
        left = self._memory_bytes - sum(pages.capacity * pages.page_bytes for pages in self.all())
        try:
            made = make_pages(student, self._device, min(left, share), ColdConfig(), 1, self._most)
        except PoolFull:
            self._return(loans)
            raise
        self._pages[student.name], self._loans[student.name] = made, loans
        return made

    def forget(self, student: ServedStudent) -> None:
        """Give up a student's pages; those whose memory it had have it again."""
        self._pages.pop(student.name).places.close()
        self._return(self._loans.pop(student.name, {}))

    def _return(self, loans: dict[str, int]) -> None:
        for name, count in loans.items():
            if name in self._pages:
                self._pages[name].take_back(count)
