"""Where the file of a name lies: with those that are on the disk for certain, or with the recent ones.

A recent file is whole, and every process sees it, but it may still be in the machine's memory alone: it outlives any
process that is killed, not a loss of power. `sync` takes all recent files to the disk at once.
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...durable.folders import sync_folder

T = TypeVar("T")
SUFFIX = ".state"
RECENT = ".recent"


class Shelf:
    """Files by name. What is read is whole: files are replaced, never changed, by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recent = path / RECENT
        self._recent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self) -> set[str]:
        return {entry.name.removesuffix(SUFFIX) for entry in self._files()}

    @property
    def nbytes(self) -> int:
        """What all files take; one that is recent and has an older one on the disk counts twice."""
        total = 0
        for entry in self._files():
            try:
                total += entry.stat().st_size
            except FileNotFoundError:
                continue  # deleted, or synced, meanwhile
        return total

    def has(self, name: str) -> bool:
        return any(path.exists() for path in self._places(name))

    def read(self, name: str, reading: Callable[[Path], T]) -> T:
        """What a function makes of the newest file of a name; FileNotFoundError."""
        # Twice: between two looks the file may have gone from the recent ones to the others.
        for path in self._places(name) * 2:
            try:
                return reading(path)
            except FileNotFoundError:
                continue
        raise FileNotFoundError(self.path / f"{name}{SUFFIX}")

    def put(self, name: str, data: bytes, durable: bool) -> None:
        """Have a file in the place of the one before; on the disk before this returns, when it is to be durable."""
        recent, settled = self._places(name)
        with self._partial() as partial:
            _write(partial, data, durable)
            with self._changing():
                os.replace(partial, settled if durable else recent)
                if durable:
                    recent.unlink(missing_ok=True)
        if durable:
            sync_folder(self.path)

    def add(self, name: str, data: bytes) -> None:
        """As a durable `put`, of a name that is free; FileExistsError."""
        with self._partial() as partial:
            _write(partial, data, durable=True)
            self._claim(name, partial)

    def link(self, name: str, copy: str) -> None:
        """Give a file a name more, which is free; FileNotFoundError, FileExistsError."""
        with self._partial() as partial:
            self.read(name, lambda path: os.link(path, partial))
            _sync_file(partial)
            self._claim(copy, partial)

    def remove(self, name: str, durable: bool) -> None:
        """FileNotFoundError. One that is not durable may be there again after a loss of power."""
        with self._changing():
            there = [path for path in self._places(name) if path.exists()]
            for path in there:
                path.unlink()
        if not there:
            raise FileNotFoundError(name)
        for folder in (self._recent, self.path) if durable else ():
            sync_folder(folder)

    def sync(self) -> None:
        """Have all that is recent now on the disk."""
        held = [self._hold(name) for name in self._recent_names()]
        try:
            for one in held:
                _sync_file(one.partial)
            # First, that no older file can take the recent one's place in this folder once it has left it.
            sync_folder(self._recent)
            for one in held:
                self._settle(one)
            if held:
                sync_folder(self.path)
        finally:
            for one in held:
                one.partial.unlink(missing_ok=True)

    def recover(self, is_whole: Callable[[Path], bool]) -> list[str]:
        """Clear what was left half written, and settle what is recent; the names of recent files that were torn."""
        for partial in (*self.path.glob(".*.partial"), *self._recent.glob(".*.partial")):
            partial.unlink(missing_ok=True)
        torn = [name for name in self._recent_names() if not is_whole(self._places(name)[0])]
        for name in torn:
            self._places(name)[0].unlink()
        self.sync()
        return torn

    def _places(self, name: str) -> tuple[Path, Path]:
        return self._recent / f"{name}{SUFFIX}", self.path / f"{name}{SUFFIX}"

    def _files(self) -> Iterator["os.DirEntry[str]"]:
        for folder in (self._recent, self.path):
            yield from (entry for entry in os.scandir(folder) if _is_state(entry.name))

    def _recent_names(self) -> list[str]:
        return [name.removesuffix(SUFFIX) for name in os.listdir(self._recent) if _is_state(name)]

    def _hold(self, name: str) -> "_Held":
        """A name of our own for a recent file, so that it does not go while it is written to the disk."""
        recent, settled = self._places(name)
        held = _Held(name, self.path / f".{uuid.uuid4().hex}.partial", _identity(settled))
        # Alone, since a file that is replaced while it is linked cannot be, though there is a newer one.
        with self._changing(), contextlib.suppress(FileNotFoundError):  # deleted, or synced by another process
            os.link(recent, held.partial)
        return held

    def _settle(self, held: "_Held") -> None:
        recent, settled = self._places(held.name)
        with self._changing():
            if not recent.exists() or not held.partial.exists():
                return  # deleted, or on the disk already
            if recent.samefile(held.partial):
                os.replace(recent, settled)
            elif _identity(settled) == held.before:
                # There is a newer one already, which the next sync will take; this one may be all that is left by then.
                os.replace(held.partial, settled)

    def _claim(self, name: str, partial: Path) -> None:
        with self._changing():
            if self.has(name):
                raise FileExistsError(name)
            os.replace(partial, self._places(name)[1])
        sync_folder(self.path)

    @contextmanager
    def _partial(self) -> Iterator[Path]:
        partial = self.path / f".{uuid.uuid4().hex}.partial"
        try:
            yield partial
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Alone among all threads and processes that change which file a name has."""
        descriptor = os.open(self.path / ".changing", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class _Held:
    """A recent file that is written to the disk, and which one of its name was there before."""

    name: str
    partial: Path
    before: tuple[int, int] | None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _write(path: Path, data: bytes, durable: bool) -> None:
    with open(path, "xb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _sync_file(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError), open(path, "rb+") as file:  # gone before it was held
        os.fsync(file.fileno())


def _is_state(file: str) -> bool:
    return file.endswith(SUFFIX) and not file.startswith(".")
