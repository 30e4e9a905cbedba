"""The blocking face of the server's snapshot folder."""

import builtins
from pathlib import Path

from ..aio.becoming import OnProgress
from ..aio.snapshots import AsyncSnapshots
from ..durability import DurabilityLike
from ..ordinals import OrdinalsLike
from ..records import SnapshotInfo
from .cohort import Cohort
from .loop import LoopThread


class Snapshots:
    """The blocking twin of `AsyncSnapshots`, whose methods say what each does."""

    def __init__(self, loop: LoopThread, snapshots: AsyncSnapshots) -> None:
        self._loop, self.asyncio = loop, snapshots

    def restore(
        self,
        snapshot: str,
        name: str,
        ordinals: OrdinalsLike = None,
        *,
        durability: DurabilityLike = None,
        on_progress: OnProgress | None = None,
    ) -> Cohort:
        restored = self.asyncio.restore(snapshot, name, ordinals, durability=durability, on_progress=on_progress)
        return Cohort(self._loop, self._loop.run(restored))

    def list(self) -> builtins.list[SnapshotInfo]:
        return self._loop.run(self.asyncio.list())

    def delete(self, name: str) -> None:
        self._loop.run(self.asyncio.delete(name))

    def download(self, name: str, folder: str | Path, *, on_progress: OnProgress | None = None) -> Path:
        return self._loop.run(self.asyncio.download(name, folder, on_progress=on_progress))

    def upload(
        self, folder: str | Path, name: str | None = None, *, on_progress: OnProgress | None = None
    ) -> SnapshotInfo:
        return self._loop.run(self.asyncio.upload(folder, name, on_progress=on_progress))

    def copy(
        self, name: str, to: "Snapshots", rename: str | None = None, *, on_progress: OnProgress | None = None
    ) -> SnapshotInfo:
        return self._loop.run(self.asyncio.copy(name, to.asyncio, rename, on_progress=on_progress))
