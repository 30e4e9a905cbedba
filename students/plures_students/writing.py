"""Files that appear whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` at the end; what was there stays when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any, indent: int | None = 2, ensure_ascii: bool = True) -> None:
    """The value as JSON; its folder is made."""
    text = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text)
