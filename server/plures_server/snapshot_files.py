"""The files of a snapshot: `agents.safetensors`, `pages-*.safetensors`, and a manifest with everyone's checksum.

States that agents share are written once. A folder appears under its name only when it is whole and on disk.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plures_students.model import NO_ACTION
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from .errors import AlreadyExists, DamagedSnapshot, UnknownSnapshot
from .manifest import AGENTS, Manifest, pages_file
from .pages import Handles

MANIFEST = "manifest.json"
SHARD_BYTES = 64 << 20
AGENT_FIELDS = {
    "page": torch.int32,
    "step": torch.int64,
    "last_action": torch.int32,
    "reward": torch.float32,
    "alive": torch.bool,
}


@dataclass(frozen=True)
class Written:
    """A finished snapshot; digest is the SHA-256 of its manifest, which has those of the other files."""

    name: str
    agents: int
    bytes: int
    digest: str


def write(target: Path, facts: dict[str, Any], agents: dict[str, Tensor], get: Callable[[Handles], Tensor]) -> Written:
    """Write a snapshot; `get` gives the states in some of agents["page"]. AlreadyExists when the name is taken."""
    if target.exists():
        raise _taken(target)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
    try:
        used, index = np.unique(agents["page"].numpy(), return_inverse=True)
        numbered = {**agents, "page": torch.from_numpy(index.astype(np.int32))}
        digests = {AGENTS: _write_file(partial / AGENTS, save(numbered))}
        for name, data in _shards(get, used, facts["page_floats"]):
            digests[name] = _write_file(partial / name, data)
        manifest = Manifest(**facts, pages=len(used), files=digests)
        digest = _write_file(partial / MANIFEST, manifest.encode())
        size = sum(path.stat().st_size for path in partial.iterdir())
        _publish(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Written(target.name, int(agents["alive"].sum()), size, digest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest; raise UnknownSnapshot when there is none, DamagedSnapshot when it makes no sense."""
    if not (folder / MANIFEST).exists():
        raise UnknownSnapshot(f"no snapshot {folder.name!r} in the server's snapshot folder")
    with _blaming(folder):
        return Manifest.decode(_read(folder / MANIFEST))


def read_agents(folder: Path, manifest: Manifest, actions: int) -> dict[str, Tensor]:
    """What each agent is, whose actions are below `actions`; "page" counts in the order of `read_pages`."""
    with _blaming(folder):
        agents = _load(folder, AGENTS, manifest)
        for name, dtype in AGENT_FIELDS.items():
            if name not in agents or agents[name].dtype != dtype or tuple(agents[name].shape) != (manifest.count,):
                raise DamagedSnapshot(f"{AGENTS} has no {name} {dtype} [{manifest.count}]")
        for name, good in _makes_sense(agents, manifest.pages, actions).items():
            if not bool(good.all()):
                row = int((~good).nonzero()[0])
                raise DamagedSnapshot(f"{name} {agents[name][row].item()} of agent {row} makes no sense")
        return agents


def read_pages(folder: Path, manifest: Manifest) -> Iterator[Tensor]:
    """The states, float32 [·, page_floats], a shard at a time; each is checked before it is handed out."""
    total = 0
    with _blaming(folder):
        for name in manifest.page_files:
            pages = _load(folder, name, manifest).get("pages")
            if pages is None or pages.dtype != torch.float32 or pages.shape[1:] != (manifest.page_floats,):
                raise DamagedSnapshot(f"{name} holds no pages of {manifest.page_floats} float32")
            total += len(pages)
            if total > manifest.pages:
                break
            yield pages
        if total != manifest.pages:
            raise DamagedSnapshot(f"it holds {total} states, and its manifest says {manifest.pages}")


def _makes_sense(agents: dict[str, Tensor], pages: int, actions: int) -> dict[str, Tensor]:
    page, action = agents["page"], agents["last_action"]
    return {
        "page": (page >= 0) & (page < pages),
        "step": agents["step"] >= 0,
        "last_action": (action >= NO_ACTION) & (action < actions),
        "reward": agents["reward"].isfinite(),
        "alive": agents["alive"].any().expand(len(page)),
    }


@contextmanager
def _blaming(folder: Path) -> Iterator[None]:
    """Say of which snapshot it is that something is damaged."""
    try:
        yield
    except DamagedSnapshot as error:
        raise DamagedSnapshot(f"snapshot {folder.name!r} is damaged: {error}") from error


def _shards(get: Callable[[Handles], Tensor], used: Handles, page_floats: int) -> Iterator[tuple[str, bytes]]:
    rows = max(1, SHARD_BYTES // (4 * page_floats))
    for number, first in enumerate(range(0, len(used), rows)):
        yield pages_file(number), save({"pages": get(used[first : first + rows])})


def _write_file(path: Path, data: bytes) -> str:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(data).hexdigest()


def _publish(partial: Path, target: Path) -> None:
    _sync_folder(partial)
    try:
        os.rename(partial, target)
    except OSError as error:
        if target.exists():
            raise _taken(target) from error
        raise
    _sync_folder(target.parent)


def _taken(target: Path) -> AlreadyExists:
    return AlreadyExists(f"snapshot {target.name!r} exists; take another name")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedSnapshot(f"{path.name} cannot be read: {error.strerror}") from error


def _load(folder: Path, name: str, manifest: Manifest) -> dict[str, Tensor]:
    data = _read(folder / name)
    if hashlib.sha256(data).hexdigest() != manifest.files[name]:
        raise DamagedSnapshot(f"{name} was altered or cut short")
    try:
        return load(data)
    except SafetensorError as error:
        raise DamagedSnapshot(f"{name} is no safetensors file: {error}") from error
