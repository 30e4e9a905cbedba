"""The files of a snapshot: `agents.safetensors`, `pages-*.safetensors`, and a manifest with everyone's checksum.

States that agents share are written once. A folder appears under its name only when it is whole and on disk.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from .errors import AlreadyExists, DamagedSnapshot, UnknownSnapshot

MANIFEST, AGENTS, FORMAT = "manifest.json", "agents.safetensors", 1
SHARD_BYTES = 64 << 20
AGENT_FIELDS = {
    "page": torch.int32,
    "step": torch.int64,
    "last_action": torch.int32,
    "reward": torch.float32,
    "alive": torch.bool,
}
_FACTS = {"student": str, "student_digest": str, "seed": int, "parent": str, "count": int, "page_floats": int}


@dataclass(frozen=True)
class Written:
    """A finished snapshot; digest is the SHA-256 of its manifest, which has those of the other files."""

    name: str
    agents: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What a snapshot says of itself. facts: student, seed, …; files: name → SHA-256."""

    facts: dict[str, Any]
    pages: int
    files: dict[str, str]


def write(target: Path, facts: dict[str, Any], agents: dict[str, Tensor], pages: Tensor) -> Written:
    """Write a snapshot; agents["page"] are rows of `pages`. Raise AlreadyExists when the name is taken."""
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    try:
        used, index = np.unique(agents["page"].numpy(), return_inverse=True)
        files = {AGENTS: save({**agents, "page": torch.from_numpy(index.astype(np.int32))})}
        digests = {name: _write_file(partial / name, data) for name, data in files.items()}
        for name, data in _shards(pages, used):
            digests[name] = _write_file(partial / name, data)
        manifest = json.dumps({"format": FORMAT, **facts, "pages": len(used), "files": digests}, indent=2).encode()
        digest = _write_file(partial / MANIFEST, manifest)
        size = sum(path.stat().st_size for path in partial.iterdir())
        _publish(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Written(target.name, int(agents["alive"].sum()), size, digest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest; raise UnknownSnapshot when there is none, DamagedSnapshot when it makes no sense."""
    try:
        form = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise UnknownSnapshot(f"no snapshot {folder.name!r} in the server's snapshot folder") from None
    except ValueError as error:
        raise DamagedSnapshot(f"snapshot {folder.name!r}: its manifest is not JSON: {error}") from error
    if not isinstance(form, dict) or form.get("format") != FORMAT:
        raise DamagedSnapshot(f"snapshot {folder.name!r}: its manifest is not of format {FORMAT}")
    facts = {name: form.get(name) for name in _FACTS}
    files: Any = form.get("files")
    pages: Any = form.get("pages")
    if not all(type(facts[name]) is kind for name, kind in _FACTS.items()) or not _plausible(files, pages):
        raise DamagedSnapshot(f"snapshot {folder.name!r}: its manifest misses entries or has ill-typed ones")
    return Manifest(facts, pages, files)


def read_agents(folder: Path, manifest: Manifest) -> dict[str, Tensor]:
    """What each agent is; "page" counts in the order of `read_pages`."""
    agents = _read_file(folder, AGENTS, manifest)
    count = manifest.facts["count"]
    for name, dtype in AGENT_FIELDS.items():
        if name not in agents or agents[name].dtype != dtype or tuple(agents[name].shape) != (count,):
            raise DamagedSnapshot(f"snapshot {folder.name!r}: {AGENTS} has no {name} {dtype} [{count}]")
    if bool(((agents["page"] < 0) | (agents["page"] >= manifest.pages)).any()):
        raise DamagedSnapshot(f"snapshot {folder.name!r}: an agent has a page beyond the {manifest.pages} written")
    return agents


def read_pages(folder: Path, manifest: Manifest) -> Iterator[Tensor]:
    """The states, float32 [·, page_floats], a shard at a time; each is checked before it is handed out."""
    total = 0
    for name in sorted(manifest.files.keys() - {AGENTS}):
        pages = _read_file(folder, name, manifest).get("pages")
        if pages is None or pages.dtype != torch.float32 or pages.shape[1:] != (manifest.facts["page_floats"],):
            raise DamagedSnapshot(f"snapshot {folder.name!r}: {name} holds no pages of the student's size")
        total += len(pages)
        if total > manifest.pages:
            break
        yield pages
    if total != manifest.pages:
        raise DamagedSnapshot(f"snapshot {folder.name!r} holds {total} pages, its manifest says {manifest.pages}")


def _plausible(files: object, pages: object) -> bool:
    """Whether the manifest's list of files names only plain files of the snapshot's own folder."""
    if not isinstance(files, dict) or type(pages) is not int or pages < 0 or AGENTS not in files:
        return False
    return all(name == Path(name).name and type(digest) is str for name, digest in files.items())


def _shards(pages: Tensor, used: "np.ndarray[Any, np.dtype[np.int32]]") -> Iterator[tuple[str, bytes]]:
    rows = max(1, SHARD_BYTES // (4 * pages.shape[1]))
    for number, first in enumerate(range(0, len(used), rows)):
        index = torch.from_numpy(used[first : first + rows]).long()
        yield f"pages-{number:05}.safetensors", save({"pages": pages[index.to(pages.device)].cpu()})


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
            raise AlreadyExists(f"snapshot {target.name!r} exists; take another name") from error
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_file(folder: Path, name: str, manifest: Manifest) -> dict[str, Tensor]:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise DamagedSnapshot(f"snapshot {folder.name!r}: {name} cannot be read: {error}") from error
    if hashlib.sha256(data).hexdigest() != manifest.files[name]:
        raise DamagedSnapshot(f"snapshot {folder.name!r}: {name} was altered or cut short")
    try:
        return load(data)
    except SafetensorError as error:
        raise DamagedSnapshot(f"snapshot {folder.name!r}: {name} is no safetensors file: {error}") from error
