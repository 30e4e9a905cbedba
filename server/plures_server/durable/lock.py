"""One server a data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataFolderInUse


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder if need be, and hold it until the end, even if that is a sudden one.

    Raises DataFolderInUse when another server does.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DataFolderInUse(
            f"another server works on {folder}: stop that one, or give this one a folder of its own with --data"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)
