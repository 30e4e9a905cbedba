"""Pages for a number of bytes in each tier."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import PoolFull
from ..students import Hosted
from .disk import DiskTier
from .pages import Pages
from .places import AllHot
from .tiered import Tiered
from .tiers import TensorTier, Tier


@dataclass(frozen=True)
class ColdConfig:
    """Bytes of states that tiers colder than the device's memory hold, over all students; `folder` is the disk's."""

    host_bytes: int = 0
    disk_bytes: int = 0
    folder: Path | None = None


MakePages = Callable[[Hosted, torch.device, int, ColdConfig, int, int], Pages]
"""As `make_pages`."""


def make_pages(
    student: Hosted, device: torch.device, device_bytes: int, cold: ColdConfig, students: int, most: int
) -> Pages:
    """A student's pages: one share of so many of the bytes, and never more than `most`. PoolFull when too few fit."""
    page_floats, left, fit = student.config.page_floats, most, []
    for size in (device_bytes, cold.host_bytes, cold.disk_bytes):
        fit.append(min(size // students // student.page_bytes, left))
        left -= fit[-1]
    hot, host, disk = fit
    # A row of a wave may read one page and write another; what lies elsewhere must come to both.
    if hot < (least := 2 if host or disk else 1):
        raise PoolFull(
            f"student {student.name!r} needs {student.page_bytes:,} bytes a state, and memory for {least} at least; "
            f"its share is {device_bytes // students:,}; start the server with more --memory-gb"
        )
    colder: list[Tier] = []
    if host:
        colder.append(TensorTier.host(host, page_floats, device))
    if disk and cold.folder is not None:
        colder.append(DiskTier(cold.folder, disk, page_floats))
    if not colder:
        return Pages(AllHot(hot + 1, page_floats, device))
    return Pages(Tiered(TensorTier.device(hot, page_floats, device), colder))
