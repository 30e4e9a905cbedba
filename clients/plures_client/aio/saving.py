"""A cohort's agents, written to the server's snapshot folder."""

from contextlib import aclosing

from plures.v1.agent_pb2 import SnapshotRequest

from .. import ordinals as wire_ordinals
from ..errors import Unavailable
from ..names import full
from ..ordinals import OrdinalsLike
from ..records import SnapshotInfo
from .becoming import OnProgress
from .wire import Wire


async def written(
    wire: Wire, cohort: str, name: str, ordinals: OrdinalsLike, on_progress: OnProgress | None
) -> SnapshotInfo:
    """A cohort's agents in the server's folder, as `name`."""
    request = SnapshotRequest(name=full("cohorts", cohort), snapshot_id=name, ordinals=wire_ordinals.encode(ordinals))
    async with aclosing(wire.messages(wire.to.agents.Snapshot(request))) as events:
        async for event in events:
            if event.WhichOneof("event") == "snapshot":
                return SnapshotInfo.read(event.snapshot)
            if on_progress is not None:
                on_progress(event.progress.bytes, event.progress.total_bytes)
    raise Unavailable(f"the server at {wire.address} ended the snapshot early; nothing was written")
