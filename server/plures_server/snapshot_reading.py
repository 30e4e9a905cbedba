"""Reading the files of a snapshot, with suspicion: each is checked whole before anything of it is used.

A agents of the snapshot, M nodes of their tree.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from plures_students.model import NO_ACTION
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from . import saved_lineage
from .ancestry import Tree
from .errors import DamagedSnapshot, UnknownSnapshot
from .lineage import Lineage
from .manifest import AGENTS, LINEAGE, MANIFEST, Manifest
from .page_files import PageFileReader
from .snapshot_files import AGENT_FIELDS, SHARD_BYTES, Written

MOST_FILE_BYTES = 4 * SHARD_BYTES
"""Of a file of states, unless one state takes more: each is read whole into memory, and may come from anywhere."""


@dataclass(frozen=True)
class Saved:
    """What a snapshot says of its agents. Page 0 is the newborn's; n is the n-th of `read_pages`."""

    agents: dict[str, Tensor]
    tree: Tree
    lineage: Lineage


def read_manifest(folder: Path) -> Manifest:
    """The manifest; raise UnknownSnapshot when there is none, DamagedSnapshot when it makes no sense."""
    if not (folder / MANIFEST).exists():
        raise UnknownSnapshot(f"no snapshot {folder.name!r} in the server's snapshot folder")
    with blaming(folder):
        return Manifest.decode(_read(folder / MANIFEST))


def describe(folder: Path) -> Written:
    """A snapshot as it is on disk; raise as `read_manifest` does."""
    manifest = read_manifest(folder)
    with blaming(folder):
        data = _read(folder / MANIFEST)
    return Written(folder.name, manifest, manifest.file_bytes + len(data), hashlib.sha256(data).hexdigest())


def read_saved(folder: Path, manifest: Manifest, actions: int, numbers: Iterator[int]) -> Saved:
    """The agents, whose actions are below `actions`, and their lineage, with new numbers."""
    with blaming(folder):
        agents = _load(folder, AGENTS, manifest)
        arrays = {name: values.numpy() for name, values in _load(folder, LINEAGE, manifest).items()}
        parent, page = _tree(arrays, manifest)
        _check_agents(agents, manifest, actions, len(parent))
        lineage = saved_lineage.decode(manifest.lineage, arrays, manifest.student, numbers)
        return Saved(agents, Tree(agents["anchor"].numpy(), parent, page), lineage)


def read_pages(folder: Path, manifest: Manifest) -> Iterator[Tensor]:
    """The states, float32 [·, page_floats], a file at a time; each is checked before it is handed out.

    It is good until the next one is asked for.
    """
    total, reader = 0, PageFileReader()
    with blaming(folder):
        for name in manifest.page_files:
            entry = manifest.files[name]
            if entry.bytes > max(MOST_FILE_BYTES, 8 * manifest.page_floats):
                raise DamagedSnapshot(f"{name} of {entry.bytes:,} bytes is too large; states are in several files")
            pages = reader.read(folder / name, entry, manifest.page_floats)
            total += len(pages)
            if total > manifest.pages:
                break
            yield pages
        if total != manifest.pages:
            raise DamagedSnapshot(f"it holds {total} states, and its manifest says {manifest.pages}")


@contextmanager
def blaming(folder: Path) -> Iterator[None]:
    """Say of which snapshot it is that something is damaged."""
    try:
        yield
    except DamagedSnapshot as error:
        raise DamagedSnapshot(f"snapshot {folder.name!r} is damaged: {error}") from error


def check_digest(data: bytes, name: str, manifest: Manifest) -> None:
    """Raise DamagedSnapshot unless a file has the content that the manifest says."""
    if hashlib.sha256(data).hexdigest() != manifest.files[name].sha256:
        raise DamagedSnapshot(f"{name} was altered or cut short")


def _tree(arrays: saved_lineage.Arrays, manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
    """Parents and pages [M] of the tree."""
    parent, page = arrays.pop("tree.parent", None), arrays.pop("tree.page", None)
    if parent is None or page is None or len(parent) == 0 or parent.shape != page.shape or parent.ndim != 1:
        raise DamagedSnapshot(f"{LINEAGE} has no tree")
    places = np.arange(len(parent))
    good = (parent >= 0) & (parent < np.maximum(places, 1)) & (page >= 0) & (page <= manifest.pages)
    good[0] &= page[0] == 0
    if not good.all():
        raise DamagedSnapshot(f"node {np.flatnonzero(~good)[0]} of its tree makes no sense")
    return parent.astype(np.int32), page.astype(np.int32)


def _check_agents(agents: dict[str, Tensor], manifest: Manifest, actions: int, nodes: int) -> None:
    for name, dtype in AGENT_FIELDS.items():
        if name not in agents or agents[name].dtype != dtype or tuple(agents[name].shape) != (manifest.count,):
            raise DamagedSnapshot(f"{AGENTS} has no {name} {dtype} [{manifest.count}]")
    for name, good in _makes_sense(agents, manifest, actions, nodes).items():
        if not bool(good.all()):
            row = int((~good).nonzero()[0])
            raise DamagedSnapshot(f"{name} {agents[name][row].item()} of agent {row} makes no sense")


def _makes_sense(agents: dict[str, Tensor], manifest: Manifest, actions: int, nodes: int) -> dict[str, Tensor]:
    page, anchor, number, action = (agents[name] for name in ("page", "anchor", "number", "last_action"))
    return {
        "page": (page >= 0) & (page <= manifest.pages),
        "anchor": (anchor >= 0) & (anchor < nodes),
        "ordinal": (agents["ordinal"] >= 0) & (agents["ordinal"] < 1 << 32),
        "number": (number >= 0) & (number < 1 << 32),
        "step": agents["step"] >= 0,
        "last_action": (action >= NO_ACTION) & (action < actions),
        "reward": agents["reward"].isfinite(),
        "alive": (agents["alive"].sum() == manifest.alive).expand(len(page)),
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedSnapshot(f"{path.name} cannot be read: {error.strerror}") from error


def _load(folder: Path, name: str, manifest: Manifest) -> dict[str, Tensor]:
    data = _read(folder / name)
    check_digest(data, name, manifest)
    try:
        return load(data)
    except SafetensorError as error:
        raise DamagedSnapshot(f"{name} is no safetensors file: {error}") from error
