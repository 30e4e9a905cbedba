"""Files that are read again when they have changed, and kept as they were when they can no longer be read."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from ..errors import PluresError

T = TypeVar("T")
log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int] | None, ...]


class Watched(Generic[T]):
    """What `read` makes of some files; the first time, its errors are the caller's."""

    def __init__(self, files: Sequence[Path], read: Callable[[], T]) -> None:
        self._files, self._read = files, read
        self._stamp = self._stamp_now()
        self._content = read()

    def changed(self) -> bool:
        """Whether the files are others than when they were read last; then read them."""
        if (stamp := self._stamp_now()) == self._stamp:
            return False
        self._stamp = stamp
        try:
            self._content = self._read()
        except PluresError as error:
            log.error("kept as it was: %s", error)
            return False
        log.info("read anew: %s", ", ".join(map(str, self._files)))
        return True

    def now(self) -> T:
        """The content as the files have it now."""
        self.changed()
        return self._content

    def _stamp_now(self) -> _Stamp:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
