"""The server's snapshot folder, and snapshots on their way between servers."""

import asyncio
import os
import shutil
import tempfile
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from plures.v1.agent_pb2 import RestoreRequest
from plures.v1.snapshot_pb2 import (
    DeleteSnapshotRequest,
    DownloadSnapshotRequest,
    FileChunk,
    ListSnapshotsRequest,
    UploadSnapshotRequest,
)

from .. import ordinals as wire_ordinals
from ..durability import DurabilityLike
from ..durability import encode as encode_durability
from ..errors import AlreadyExists, DataLoss, NotFound, Unavailable
from ..names import full, short
from ..ordinals import OrdinalsLike
from ..records import SnapshotInfo
from .becoming import OnProgress
from .cohort import AsyncCohort, started
from .wire import Wire

CHUNK_BYTES = 1 << 20
MANIFEST = "manifest.json"


class AsyncSnapshots:
    """The server's snapshot folder; `Cohort.snapshot` writes to it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def restore(
        self,
        snapshot: str,
        name: str,
        ordinals: OrdinalsLike = None,
        *,
        durability: DurabilityLike = None,
        on_progress: OnProgress | None = None,
    ) -> AsyncCohort:
        """Start cohort `name` from a snapshot: of all its agents, or those named, in the order named.

        Raises:
            NotFound: no such snapshot or agent. DataLoss: a damaged file. FailedPrecondition: it is another student's.
        """
        request = RestoreRequest(
            snapshot=full("snapshots", snapshot),
            cohort_id=name,
            ordinals=wire_ordinals.encode(ordinals),
            durability=encode_durability(durability),
        )
        async with aclosing(self._wire.messages(self._wire.to.agents.Restore(request))) as events:
            async for event in events:
                if event.WhichOneof("event") == "cohort":
                    return started(self._wire, event.cohort)
                if on_progress is not None:
                    on_progress(event.progress.bytes, event.progress.total_bytes)
        raise Unavailable(f"the server at {self._wire.address} ended the restoration early; nothing was started")

    async def list(self) -> list[SnapshotInfo]:
        """All of them, by name."""
        pages = self._wire.pages(self._wire.to.snapshots.ListSnapshots, ListSnapshotsRequest())
        return [SnapshotInfo.read(snapshot) async for page in pages for snapshot in page.snapshots]

    async def delete(self, name: str) -> None:
        """Remove a snapshot; raise NotFound when there is none of that name."""
        request = DeleteSnapshotRequest(name=full("snapshots", name))
        await self._wire.call(self._wire.to.snapshots.DeleteSnapshot, request)

    async def download(self, name: str, folder: str | Path, *, on_progress: OnProgress | None = None) -> Path:
        """Copy a snapshot's files into a new folder, which appears when they have all come; answer the folder.

        Raises:
            AlreadyExists: the folder exists. NotFound. DataLoss: a damaged file, or one damaged on the way.
        """
        target = Path(folder)
        partial = _folder_beside(target)
        try:
            async with aclosing(self._chunks(name, on_progress)) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(_append, partial, chunk)
            os.rename(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return target

    async def upload(
        self, folder: str | Path, name: str | None = None, *, on_progress: OnProgress | None = None
    ) -> SnapshotInfo:
        """Give the server a snapshot from a folder that `download` made; it is checked whole before it is there.

        Raises:
            AlreadyExists: the name is taken. DataLoss: it is damaged, or no snapshot.
        """
        source = Path(folder)
        return await self._send(name or source.name, _chunks_of(source, on_progress))

    async def copy(
        self, name: str, to: "AsyncSnapshots", rename: str | None = None, *, on_progress: OnProgress | None = None
    ) -> SnapshotInfo:
        """Copy a snapshot to another server's folder (`other_client.snapshots`), a chunk at a time."""
        return await to._send(rename or short(name), self._chunks(name, on_progress))

    async def _chunks(self, name: str, on_progress: OnProgress | None) -> AsyncGenerator[FileChunk, None]:
        """A snapshot's chunks, each checked; raise DataLoss for one that was altered on the way."""
        request, done = DownloadSnapshotRequest(name=full("snapshots", name)), 0
        async with aclosing(self._wire.messages(self._wire.to.snapshots.DownloadSnapshot(request))) as responses:
            async for response in responses:
                chunk = response.chunk
                if zlib.crc32(chunk.data) != chunk.crc32:
                    raise DataLoss(f"byte {chunk.offset} of {chunk.file}, or one soon after, was altered on the way")
                yield chunk
                done += len(chunk.data)
                if on_progress is not None:
                    on_progress(done, response.total_bytes)

    async def _send(self, name: str, chunks: AsyncGenerator[FileChunk, None]) -> SnapshotInfo:
        async with aclosing(chunks), aclosing(_requests(name, chunks)) as requests:
            answer = await self._wire.answer(self._wire.to.snapshots.UploadSnapshot(), requests)
        return SnapshotInfo.read(answer.snapshot)


async def _requests(name: str, chunks: AsyncGenerator[FileChunk, None]) -> AsyncGenerator[UploadSnapshotRequest, None]:
    first = name
    async for chunk in chunks:
        yield UploadSnapshotRequest(snapshot_id=first, chunk=chunk)
        first = ""


def _folder_beside(target: Path) -> Path:
    if target.exists():
        raise AlreadyExists(f"{target} exists; take another folder")
    return Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))


def _files(folder: Path) -> list[Path]:
    """The manifest, and then the others."""
    if not (folder / MANIFEST).is_file():
        raise NotFound(f"{folder} is no folder of a snapshot: it has no {MANIFEST}")
    return sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name != MANIFEST)


async def _chunks_of(folder: Path, on_progress: OnProgress | None) -> AsyncGenerator[FileChunk, None]:
    """The chunks of a snapshot's files, its manifest's first."""
    files = _files(folder)
    done, total = 0, sum(path.stat().st_size for path in files)
    for path in files:
        with path.open("rb") as file:
            while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield FileChunk(file=path.name, offset=file.tell() - len(data), data=data, crc32=zlib.crc32(data))
                done += len(data)
                if on_progress is not None:
                    on_progress(done, total)


def _append(folder: Path, chunk: FileChunk) -> None:
    if Path(chunk.file).name != chunk.file or chunk.file in ("", ".", ".."):
        raise DataLoss(f"the server sent a file of the name {chunk.file!r}")
    with (folder / chunk.file).open("ab") as file:
        if file.tell() != chunk.offset:
            raise DataLoss(f"the server sent byte {chunk.offset} of {chunk.file}, where {file.tell()} is next")
        file.write(chunk.data)
