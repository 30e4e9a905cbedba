"""What is written goes where nothing was."""

from pathlib import Path

from ..lives import LivesError


def refuse_existing(directory: Path) -> None:
    """Raise LivesError for a directory that exists."""
    if directory.exists():
        raise LivesError(f"{directory} exists; name a directory that does not")
