"""Files of states: safetensors of one float32 tensor, `pages` [R, F], a part at a time and hashed as it passes.

R rows of a file, F floats of a page.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import DamagedSnapshot
from .manifest import FileEntry

CHUNK_BYTES = 1 << 20
"""What is copied and hashed at a time: so much stays in the processor's cache between the two."""
_PREFIX_BYTES = 8

Buffer = NDArray[np.uint8]


def write_pages(path: Path, rows: int, page_floats: int, parts: Iterable[Tensor]) -> FileEntry:
    """Write so many states to a new file, which the caller syncs. They come in parts [·, F], in host memory."""
    digest = hashlib.sha256()
    with open(path, "xb") as file:
        for data in _encoded(rows, page_floats, parts):
            file.write(data)
            digest.update(data)
        return FileEntry(file.tell(), digest.hexdigest())


class PageFileReader:
    """Reads files of states one after the other into the same memory: to touch new memory takes longer than to read."""

    def __init__(self) -> None:
        self._buffer: Buffer = np.empty(0, np.uint8)

    def read(self, path: Path, entry: FileEntry, page_floats: int) -> Tensor:
        """The states [R, F], good until the next call; raise DamagedSnapshot for anything but what `entry` says."""
        try:
            data = self._read(path, entry)
        except OSError as error:
            raise DamagedSnapshot(f"{path.name} cannot be read: {error.strerror}") from error
        return _decoded(data, path.name, page_floats)

    def _read(self, path: Path, entry: FileEntry) -> Buffer:
        digest = hashlib.sha256()
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size == entry.bytes:
                data, done = self._room(entry.bytes), 0
                while count := file.readinto(data[done : done + CHUNK_BYTES].data):
                    digest.update(data[done : done + count].data)
                    done += count
                if done == entry.bytes and digest.hexdigest() == entry.sha256:
                    return data
        raise DamagedSnapshot(f"{path.name} was altered or cut short")

    def _room(self, size: int) -> Buffer:
        if len(self._buffer) < size:
            self._buffer = np.empty(size, np.uint8)
        return self._buffer[:size]


def _encoded(rows: int, page_floats: int, parts: Iterable[Tensor]) -> Iterable[bytes | memoryview]:
    header = json.dumps(_header(rows, page_floats)).encode()
    header += b" " * (-len(header) % _PREFIX_BYTES)
    yield len(header).to_bytes(_PREFIX_BYTES, "little") + header
    for part in parts:
        yield part.numpy().data.cast("B")


def _decoded(data: Buffer, name: str, page_floats: int) -> Tensor:
    start = _PREFIX_BYTES + int.from_bytes(data[:_PREFIX_BYTES].tobytes(), "little")
    rows, rest = divmod(len(data) - start, 4 * page_floats)
    try:
        header = json.loads(data[_PREFIX_BYTES:start].tobytes())
    except (ValueError, RecursionError) as error:
        raise DamagedSnapshot(f"{name} is no safetensors file: {error}") from error
    if header != _header(rows, page_floats) or rest or start % 4:
        raise DamagedSnapshot(f"{name} holds no pages of {page_floats} float32")
    return torch.from_numpy(data[start:].view(np.float32)).view(rows, page_floats)


def _header(rows: int, page_floats: int) -> dict[str, Any]:
    """What safetensors says of its one tensor."""
    offsets = [0, 4 * rows * page_floats]
    return {"pages": {"dtype": "F32", "shape": [rows, page_floats], "data_offsets": offsets}}
