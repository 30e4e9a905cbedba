"""The log files of one folder, as they are written: `log-00000001`, `log-00000002`, …"""

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from . import frames
from .folders import make_folder, sync_folder

_LOG = re.compile(r"log-(\d{8})")


def log_file(number: int) -> str:
    """Name of a log file; as names they sort in the order of the numbers."""
    return f"log-{number:08}"


def log_numbers(folder: Path) -> list[int]:
    """The numbers of the log files there are, ascending."""
    return sorted(int(found[1]) for path in folder.iterdir() if (found := _LOG.fullmatch(path.name)))


@dataclass(frozen=True)
class Spot:
    """A place between two frames at which a log file begins: its number, and that of the frame that comes next."""

    segment: int
    frame: int


class LogFiles:
    """Appends frames, each on the disk when `append` returns, and goes on in a new file when one is large.

    What raises OSError leaves the file's end undefined: nothing may be appended before `roll`.
    """

    def __init__(self, folder: Path, spot: Spot, segment_bytes: int) -> None:
        self.folder = folder
        self._segment = spot.segment
        self._number = spot.frame
        self._segment_bytes = segment_bytes
        self._descriptor: int | None = None
        self._salt = b""
        self._size = 0

    def append(self, payload: bytes) -> int:
        """Write one frame; its bytes, when they are on the disk."""
        if self._size >= self._segment_bytes:
            self.roll()
        if self._descriptor is None:
            self._open()
        frame = frames.encode_frame(self._salt, self._number, payload)
        self._write(frame)
        self._number += 1
        self._size += len(frame)
        return len(frame)

    def roll(self) -> Spot:
        """Go on in a new file, from the spot that is returned on."""
        self.close()
        self._segment += 1
        self._size = 0
        return Spot(self._segment, self._number)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> None:
        make_folder(self.folder)
        path = self.folder / log_file(self._segment)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._salt = secrets.token_bytes(frames.SALT_BYTES)
        # Before any frame, so that a file without a whole header holds none.
        self._write(frames.encode_header(self._salt, self._segment))
        sync_folder(self.folder)

    def _write(self, data: bytes) -> None:
        assert self._descriptor is not None
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fdatasync(self._descriptor)
