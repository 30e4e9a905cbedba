"""Snapshots as chunks of bytes: out of one server's folder, into another's. What comes in is read with suspicion."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .errors import DamagedSnapshot
from .manifest import MANIFEST, FileEntry, Manifest
from .snapshot_files import Written, publish, sync, write_file
from .snapshot_reading import blaming, read_manifest

CHUNK_BYTES = 1 << 20
MANIFEST_BYTES = 64 << 20
"""Most bytes of a manifest that comes in."""


@dataclass(frozen=True)
class Chunk:
    """A part of a file: where it begins in it, and the CRC-32 of its bytes."""

    file: str
    offset: int
    data: bytes
    crc32: int


def outgoing(folder: Path) -> tuple[int, Iterator[Chunk]]:
    """Bytes of a snapshot, and its chunks, the manifest's first; they raise DamagedSnapshot where a file is damaged."""
    manifest = read_manifest(folder)
    size = (folder / MANIFEST).stat().st_size
    return size + manifest.file_bytes, _chunks(folder, manifest)


class Incoming:
    """Files of a snapshot as they come in, written to a folder that nobody sees. Anything amiss is DamagedSnapshot."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._head = bytearray()
        self._manifest: Manifest | None = None
        self._missing: dict[str, FileEntry] = {}
        self._file: _IncomingFile | None = None

    def take(self, chunk: Chunk) -> None:
        """The next chunk, in the order of `outgoing`, but that files may come in any."""
        if zlib.crc32(chunk.data) != chunk.crc32:
            raise DamagedSnapshot(f"what came for {chunk.file[:80]!r} at byte {chunk.offset} was altered on the way")
        if len(chunk.data) > CHUNK_BYTES:
            raise DamagedSnapshot(f"a chunk of {len(chunk.data):,} bytes came; they are of {CHUNK_BYTES:,} at most")
        if chunk.file == MANIFEST and self._manifest is None:
            self._take_head(chunk)
        else:
            self._take_file(chunk)

    @property
    def promised_bytes(self) -> int:
        """Of all files, once the manifest has come; 0 before."""
        return 0 if self._manifest is None else self._manifest.file_bytes

    def finish(self, target: Path) -> Written:
        """All has come: give the snapshot its name."""
        manifest = self._whole_manifest()
        self._end_file()
        if self._missing:
            raise DamagedSnapshot(f"{min(self._missing)} did not come")
        entry = write_file(self._folder / MANIFEST, bytes(self._head))
        publish(self._folder, target)
        return Written(target.name, manifest, manifest.file_bytes + entry.bytes, entry.sha256)

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            self._file.close()

    def _take_head(self, chunk: Chunk) -> None:
        if chunk.offset != len(self._head) or chunk.offset + len(chunk.data) > MANIFEST_BYTES:
            raise DamagedSnapshot(f"byte {chunk.offset} of its manifest came, where {len(self._head)} is next")
        self._head += chunk.data

    def _take_file(self, chunk: Chunk) -> None:
        self._whole_manifest()
        if self._file is None or self._file.name != chunk.file:
            self._end_file()
            if (entry := self._missing.pop(chunk.file, None)) is None:
                raise DamagedSnapshot(f"{chunk.file[:80]!r} came, which is not due")
            self._file = _IncomingFile(self._folder, chunk.file, entry)
        self._file.take(chunk)

    def _whole_manifest(self) -> Manifest:
        if self._manifest is None:
            self._manifest = Manifest.decode(bytes(self._head))
            self._missing = dict(self._manifest.files)
        return self._manifest

    def _end_file(self) -> None:
        if self._file is not None:
            self._file.end()
            self._file = None


class _IncomingFile:
    """One file, of which size and digest are known."""

    def __init__(self, folder: Path, name: str, entry: FileEntry) -> None:
        self.name = name
        self._entry = entry
        self._file: BinaryIO = open(folder / name, "xb")  # noqa: SIM115 - closed by `end` or `close`
        self._digest = hashlib.sha256()
        self._bytes = 0

    def take(self, chunk: Chunk) -> None:
        if chunk.offset != self._bytes or chunk.offset + len(chunk.data) > self._entry.bytes:
            raise DamagedSnapshot(
                f"bytes {chunk.offset} to {chunk.offset + len(chunk.data)} of {self.name} came, where {self._bytes} of "
                f"{self._entry.bytes} is next"
            )
        self._file.write(chunk.data)
        self._digest.update(chunk.data)
        self._bytes += len(chunk.data)

    def end(self) -> None:
        self._file.flush()
        sync(self._file.fileno())
        self.close()
        if self._digest.hexdigest() != self._entry.sha256:
            raise DamagedSnapshot(f"{self.name} was altered or cut short")

    def close(self) -> None:
        self._file.close()


def _chunks(folder: Path, manifest: Manifest) -> Iterator[Chunk]:
    yield from _chunks_of(folder, MANIFEST, None)
    for name, entry in manifest.files.items():
        yield from _chunks_of(folder, name, entry)


def _chunks_of(folder: Path, name: str, entry: FileEntry | None) -> Iterator[Chunk]:
    digest, offset = hashlib.sha256(), 0
    with blaming(folder), _opened(folder / name) as file:
        while data := file.read(CHUNK_BYTES):
            digest.update(data)
            yield Chunk(name, offset, data, zlib.crc32(data))
            offset += len(data)
        if entry is not None and digest.hexdigest() != entry.sha256:
            raise DamagedSnapshot(f"{name} was altered or cut short")


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise DamagedSnapshot(f"{path.name} cannot be read: {error.strerror}") from error
