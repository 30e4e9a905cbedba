"""A snapshot's manifest: whose agents it holds, where they come from, and the checksum of every file.

It is read with suspicion.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from .errors import DamagedSnapshot
from .names import is_id

FORMAT = 2
MANIFEST = "manifest.json"
AGENTS = "agents.safetensors"
LINEAGE = "lineage.safetensors"
_PAGES = re.compile(r"pages-\d{5,9}\.safetensors")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def pages_file(number: int) -> str:
    """Name of the number-th file of pages; as names they sort in the order of the numbers."""
    return f"pages-{number:05}.safetensors"


@dataclass(frozen=True)
class FileEntry:
    """Size and SHA-256, in hex, of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """`cohort`: the one that was saved. `alive` of its `count` agents live. `pages`: states over all files.

    `lineage`: events, as in `saved_lineage`. `files`: by name.
    """

    student: str
    student_digest: str
    seed: int
    cohort: str
    count: int
    alive: int
    page_floats: int
    pages: int
    lineage: list[dict[str, Any]]
    files: dict[str, FileEntry]

    def encode(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """What `encode` gave; raise DamagedSnapshot, saying which entry, for anything else."""
        try:
            form = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DamagedSnapshot(f"its manifest is not JSON: {error}") from error
        if not isinstance(form, dict) or form.pop("format", None) != FORMAT:
            raise DamagedSnapshot(f"its manifest is not of format {FORMAT}")
        if form.keys() != _MAKES_SENSE.keys():
            raise DamagedSnapshot(f"its manifest has the entries {', '.join(form)[:200]!r}")
        for name, makes_sense in _MAKES_SENSE.items():
            if not makes_sense(form[name]):
                raise DamagedSnapshot(f"its manifest has a {name} that makes no sense: {repr(form[name])[:80]}")
        files = {name: FileEntry(**entry) for name, entry in form.pop("files").items()}
        return cls(**form, files=files)

    @property
    def page_files(self) -> list[str]:
        return sorted(self.files.keys() - {AGENTS, LINEAGE})

    @property
    def file_bytes(self) -> int:
        """Of all files but the manifest."""
        return sum(entry.bytes for entry in self.files.values())


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _is_whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _are_files(value: object) -> bool:
    """Only files of ours: no name leads out of the snapshot's folder."""
    if not isinstance(value, dict) or not value.keys() >= {AGENTS, LINEAGE}:
        return False
    names = value.keys() - {AGENTS, LINEAGE}
    return all(_PAGES.fullmatch(name) for name in names) and all(map(_is_entry, value.values()))


def _is_entry(value: object) -> bool:
    if not isinstance(value, dict) or value.keys() != {"bytes", "sha256"}:
        return False
    return _is_whole(0, 2**40)(value["bytes"]) and _is_digest(value["sha256"])


def _are_entries(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


_MAKES_SENSE: dict[str, Callable[[Any], bool]] = {
    "student": is_id,
    "student_digest": _is_digest,
    "seed": _is_whole(0, 2**64 - 1),
    "cohort": is_id,
    "count": _is_whole(1, 2**32 - 1),
    "alive": _is_whole(1, 2**32 - 1),
    "page_floats": _is_whole(1, 2**40),
    "pages": _is_whole(0, 2**31 - 1),
    "lineage": _are_entries,
    "files": _are_files,
}
assert list(_MAKES_SENSE) == [field.name for field in fields(Manifest)]
