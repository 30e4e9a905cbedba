"""Writing the files of a snapshot: agents, lineage, `pages-*.safetensors`, and a manifest with everyone's checksum.

States that agents share are written once. A folder appears under its name only when it is whole and on disk.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from .ancestry import Tree
from .errors import AlreadyExists, StorageFailed
from .manifest import AGENTS, LINEAGE, MANIFEST, FileEntry, Manifest, pages_file
from .page_files import CHUNK_BYTES, write_pages
from .pages import NEWBORN, Handles
from .transfer import Transfer

SHARD_BYTES = 16 << 20
PARTIAL = ".partial-"
"""In the names of folders that are not whole yet, or no longer."""
AGENT_FIELDS = {
    "page": torch.int32,
    "anchor": torch.int32,
    "ordinal": torch.int64,
    "number": torch.int64,
    "step": torch.int64,
    "last_action": torch.int32,
    "reward": torch.float32,
    "alive": torch.bool,
}


@dataclass(frozen=True)
class Content:
    """What goes in a snapshot. `agents`: by AGENT_FIELDS; pages are as `get` takes them, and 0 is the newborn's.

    `facts`: entries of the manifest. `lineage`: makes further ones, and arrays.
    """

    facts: dict[str, Any]
    agents: dict[str, Tensor]
    tree: Tree
    get: Callable[[Handles], Tensor]
    lineage: Callable[[], tuple[list[dict[str, Any]], dict[str, np.ndarray[Any, Any]]]]


@dataclass(frozen=True)
class Written:
    """A whole snapshot on disk; digest is the SHA-256 of its manifest, which has those of the other files."""

    name: str
    manifest: Manifest
    bytes: int
    digest: str


def write(target: Path, content: Content, transfer: Transfer) -> Written:
    """Write a snapshot. Raise AlreadyExists when the name is taken, StorageFailed when the disk will not have it."""
    with new_folder(target) as partial:
        page = content.agents["page"].numpy()
        used = np.unique(np.concatenate([page, content.tree.page]))
        used = used[used != NEWBORN].astype(np.int32)
        transfer.total_bytes = len(used) * 4 * content.facts["page_floats"]
        entries, arrays = content.lineage()
        tree = {"parent": content.tree.parent, "page": _numbered(content.tree.page, used)}
        arrays |= {f"tree.{name}": values.astype(np.int64) for name, values in tree.items()}
        agents = {**content.agents, "page": torch.from_numpy(_numbered(page, used))}
        files = {
            AGENTS: write_file(partial / AGENTS, save(agents)),
            LINEAGE: write_file(partial / LINEAGE, save({name: torch.from_numpy(a) for name, a in arrays.items()})),
        }
        files |= _write_states(partial, used, content, transfer)
        manifest = Manifest(**content.facts, pages=len(used), lineage=entries, files=files)
        entry = write_file(partial / MANIFEST, manifest.encode())
        publish(partial, target)
    return Written(target.name, manifest, manifest.file_bytes + entry.bytes, entry.sha256)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A hidden folder to be filled and published as `target`; whatever is not published is removed."""
    if target.exists():
        raise _taken(target)
    with storing():
        partial = hidden(target)
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def hidden(target: Path) -> Path:
    """A new folder beside `target` that no reader sees."""
    return Path(tempfile.mkdtemp(prefix=f".{target.name}{PARTIAL}", dir=target.parent))


@contextmanager
def storing() -> Iterator[None]:
    """What the disk refuses is said without saying where the files are."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"the snapshot folder cannot be written: {error.strerror}; free some room, or start the server with "
            "another --data"
        ) from error


def write_file(path: Path, data: bytes) -> FileEntry:
    """Write a new file, to the disk."""
    with open(path, "xb") as file:
        file.write(data)
        sync(file.fileno())
    return FileEntry(len(data), hashlib.sha256(data).hexdigest())


def publish(partial: Path, target: Path) -> None:
    """Give a whole folder its name; raise AlreadyExists when another got there first."""
    _sync_path(partial)
    try:
        os.rename(partial, target)
    except OSError as error:
        if target.exists():
            raise _taken(target) from error
        raise
    _sync_path(target.parent)


def sync(descriptor: int) -> None:
    os.fsync(descriptor)


def _write_states(folder: Path, used: Handles, content: Content, transfer: Transfer) -> dict[str, FileEntry]:
    """The states, in files of their own; one goes to the disk while the next is written."""
    page_floats, files = content.facts["page_floats"], {}
    with ThreadPoolExecutor(1, "sync") as beside:
        synced = []
        for number, first in enumerate(range(0, len(used), rows := _rows(SHARD_BYTES, page_floats))):
            name, some = pages_file(number), used[first : first + rows]
            parts = _read(content.get, some, _rows(CHUNK_BYTES, page_floats), transfer)
            files[name] = write_pages(folder / name, len(some), page_floats, parts)
            synced.append(beside.submit(_sync_path, folder / name))
        for each in synced:
            each.result()
    return files


def _read(get: Callable[[Handles], Tensor], handles: Handles, few: int, transfer: Transfer) -> Iterator[Tensor]:
    for first in range(0, len(handles), few):
        states = get(handles[first : first + few])
        yield states
        transfer.advance(states.nbytes)


def _rows(size: int, page_floats: int) -> int:
    return max(1, size // (4 * page_floats))


def _numbered(page: Handles, used: Handles) -> Handles:
    """The newborn's page is 0; the others count from 1."""
    return np.where(page == NEWBORN, 0, np.searchsorted(used, page) + 1).astype(np.int32)


def _taken(target: Path) -> AlreadyExists:
    return AlreadyExists(f"snapshot {target.name!r} exists; take another name, or delete it first")


def _sync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
