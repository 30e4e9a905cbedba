"""Folders of which what was written is on the disk when a call returns."""

import os
import shutil
from pathlib import Path

GONE = ".gone"
"""How the names end of folders that are being removed."""


def sync_folder(folder: Path) -> None:
    """Bring the folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder that only we may enter, unless it is there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder: it goes at once, by a rename, and what it holds afterwards."""
    doomed = folder.with_name(f"{folder.name}{GONE}")
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(folder, doomed)
    sync_folder(folder.parent)
    shutil.rmtree(doomed, ignore_errors=True)
