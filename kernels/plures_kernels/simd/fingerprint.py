"""A key for numba's cache."""

import zlib
from pathlib import Path

HERE = Path(__file__).parent
SHARED = (*sorted(HERE.glob("*.py")), *(HERE.parent / name for name in ("norm.py", "directions.py", "rows.py")))


def fingerprint(*files: str) -> int:
    """A positive number that changes with the given files and with those that every kernel is made of.

    numba's cache looks for changes in the file of the cached function alone. A kernel that closes over this number is
    made anew when another of its files changes, too.
    """
    sources = *map(Path, files), *SHARED
    return 1 + zlib.crc32(b"".join(source.read_bytes() for source in sources))
