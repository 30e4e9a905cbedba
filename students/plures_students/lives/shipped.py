"""Data sets that come with the package."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from .errors import LivesError
from .lives import Lives
from .storage import read_lives

_SHIPPED = files("plures_students") / "data"


def shipped_names() -> list[str]:
    """Names of the shipped data sets."""
    return sorted(entry.name for entry in _SHIPPED.iterdir() if entry.is_dir())


def copy_shipped(name: str, directory: Path) -> None:
    """Copy a shipped data set, with its licence and source note, to a new directory."""
    _require_shipped(name)
    if directory.exists():
        raise LivesError(f"{directory} exists; name a directory that does not")
    with as_file(_SHIPPED / name) as source:
        shutil.copytree(source, directory)


def read_shipped(name: str) -> Lives:
    """A shipped data set, read where it lies."""
    _require_shipped(name)
    with as_file(_SHIPPED / name) as source:
        return read_lives(source)


def _require_shipped(name: str) -> None:
    if name not in shipped_names():
        raise LivesError(f"no data set {name!r} is shipped; there are {', '.join(shipped_names())}")
