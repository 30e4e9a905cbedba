"""Memory that is free, and refusing what will not fit before the system ends the process."""

import os
import resource
from pathlib import Path

from plures_kernels.errors import PluresError


class TooLittleMemory(PluresError):
    """What was asked for takes more memory than there is."""


def require_memory(needed_bytes: int, what: str, way_out: str) -> None:
    """Raise TooLittleMemory unless so much is free, as far as the system tells."""
    free = free_bytes()
    if free is not None and needed_bytes > free:
        raise TooLittleMemory(f"{what} take about {_told(needed_bytes)} of memory, {_told(free)} are free; {way_out}")


def free_bytes() -> int | None:
    """What this process may still take: by the machine, its control group and its own limit; None if none tells."""
    known = [free for free in (_of_machine(), _of_group(), _of_process()) if free is not None]
    return max(0, min(known)) if known else None


def _of_machine() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _of_group() -> int | None:
    limit, used = (_lines(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    return int(limit[0]) - int(used[0]) if limit and used and limit[0] != "max" else None


def _of_process() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _lines("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return limit - int(pages[0].split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _told(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
