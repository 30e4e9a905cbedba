"""A disk that a test may fill."""

import contextlib
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DISK_BYTES = 512 << 20


@dataclass(frozen=True)
class Disk:
    """A file system of its own, of `DISK_BYTES`."""

    path: Path

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """There is no room until the end."""
        filler = self.path / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                # Of the last piece only a part.
                file.write(bytes(1 << 20))
        try:
            yield
        finally:
            filler.unlink()


@contextlib.contextmanager
def small_disk(where: Path) -> Iterator[Disk | None]:
    """A tmpfs, which root alone can mount; None for others."""
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(where)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield Disk(where)
    finally:
        # Also when a server that a failed test left behind still works there.
        subprocess.run(["umount", "--lazy", str(where)], check=True)


@contextlib.contextmanager
def files_of_at_most(size: int, pid: int) -> Iterator[None]:
    """As a quota would: nothing that a process writes may grow beyond so many bytes."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
