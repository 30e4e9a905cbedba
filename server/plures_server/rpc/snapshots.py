"""SnapshotService, and what other services say of snapshots."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from typing import Any

from plures.v1 import snapshot_pb2 as pb
from plures.v1 import snapshot_pb2_grpc

from .. import names
from ..errors import InvalidArgument, PluresError
from ..snapshot_exchange import Chunk, Incoming, outgoing
from ..snapshot_files import Written, new_folder
from ..snapshots import Snapshots
from ..to_its_end import to_its_end
from ..transfer import Progress

MOST_LISTED = 1000


class SnapshotService(snapshot_pb2_grpc.SnapshotServiceServicer):
    """The snapshots in the server's folder."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    async def ListSnapshots(self, request: pb.ListSnapshotsRequest, context: Any) -> pb.ListSnapshotsResponse:
        most = min(request.page_size or MOST_LISTED, MOST_LISTED)
        found = await asyncio.to_thread(self._snapshots.list, request.page_token, most + 1)
        more = found[most - 1].name if len(found) > most else ""
        return pb.ListSnapshotsResponse(snapshots=map(snapshot_message, found[:most]), next_page_token=more)

    async def DeleteSnapshot(self, request: pb.DeleteSnapshotRequest, context: Any) -> pb.DeleteSnapshotResponse:
        await asyncio.to_thread(self._snapshots.delete, names.parse(request.name, "snapshots"))
        return pb.DeleteSnapshotResponse()

    async def DownloadSnapshot(
        self, request: pb.DownloadSnapshotRequest, context: Any
    ) -> AsyncIterator[pb.DownloadSnapshotResponse]:
        path = self._snapshots.path(names.parse(request.name, "snapshots"))
        total, chunks = await asyncio.to_thread(outgoing, path)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield pb.DownloadSnapshotResponse(chunk=pb.FileChunk(**vars(chunk)), total_bytes=total)

    async def UploadSnapshot(
        self, request_iterator: AsyncIterator[pb.UploadSnapshotRequest], context: Any
    ) -> pb.UploadSnapshotResponse:
        try:
            written = await self._take_in(aiter(request_iterator))
        except PluresError:
            # To a client that is still writing, gRPC tells an internal error in place of an early answer.
            async for _ in request_iterator:
                pass
            raise
        return pb.UploadSnapshotResponse(snapshot=snapshot_message(written))

    async def _take_in(self, requests: AsyncIterator[pb.UploadSnapshotRequest]) -> Written:
        request = await anext(requests, None)
        if request is None:
            raise InvalidArgument("nothing was sent; the first message of an upload has the snapshot's name")
        target = self._snapshots.path(request.snapshot_id)
        with new_folder(target) as folder, closing(Incoming(folder)) as incoming:
            async with AsyncExitStack() as room:
                promised = 0
                while request is not None:
                    # Whoever leaves waits for what is being written: the folder is removed behind them.
                    await to_its_end(asyncio.to_thread(incoming.take, _chunk(request.chunk)))
                    if not promised and (promised := incoming.promised_bytes):
                        await room.enter_async_context(self._snapshots.room_for(target.name, promised))
                    request = await anext(requests, None)
                return await to_its_end(asyncio.to_thread(incoming.finish, target))


def snapshot_message(written: Written) -> pb.Snapshot:
    return pb.Snapshot(
        name=f"snapshots/{written.name}",
        cohort=f"cohorts/{written.manifest.cohort}",
        student=f"students/{written.manifest.student}",
        agents=written.manifest.alive,
        count=written.manifest.count,
        bytes=written.bytes,
        digest=written.digest,
    )


def progress_message(progress: Progress) -> pb.TransferProgress:
    return pb.TransferProgress(bytes=progress.bytes, total_bytes=progress.total_bytes)


def _chunk(chunk: pb.FileChunk) -> Chunk:
    return Chunk(chunk.file, chunk.offset, chunk.data, chunk.crc32)
