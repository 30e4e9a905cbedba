"""A snapshot's manifest: whose agents it holds, and the checksum of every file. It is read with suspicion."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from .errors import DamagedSnapshot, InvalidArgument
from .names import check_id

FORMAT = 1
AGENTS = "agents.safetensors"
_PAGES = re.compile(r"pages-\d{5,9}\.safetensors")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def pages_file(number: int) -> str:
    """Name of the number-th file of pages; as names they sort in the order of the numbers."""
    return f"pages-{number:05}.safetensors"


@dataclass(frozen=True)
class Manifest:
    """`parent`: the cohort that was saved. `pages`: states over all files. `files`: name → SHA-256 in hex."""

    student: str
    student_digest: str
    seed: int
    parent: str
    count: int
    page_floats: int
    pages: int
    files: dict[str, str]

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
        return cls(**form)

    @property
    def page_files(self) -> list[str]:
        return sorted(self.files.keys() - {AGENTS})


def _is_name(value: object) -> bool:
    try:
        return isinstance(value, str) and check_id(value, "name") == value
    except InvalidArgument:
        return False


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _is_whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _are_files(value: object) -> bool:
    """Only files of ours: no name leads out of the snapshot's folder."""
    if not isinstance(value, dict) or AGENTS not in value:
        return False
    names = value.keys() - {AGENTS}
    return all(_PAGES.fullmatch(name) for name in names) and all(map(_is_digest, value.values()))


_MAKES_SENSE: dict[str, Callable[[Any], bool]] = {
    "student": _is_name,
    "student_digest": _is_digest,
    "seed": _is_whole(0, 2**64 - 1),
    "parent": _is_name,
    "count": _is_whole(1, 2**32 - 1),
    "page_floats": _is_whole(1, 2**40),
    "pages": _is_whole(0, 2**31 - 1),
    "files": _are_files,
}
assert list(_MAKES_SENSE) == [field.name for field in fields(Manifest)]
