"""Snapshots over a real channel: kept, listed, carried elsewhere; or nothing of them."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from plures.v1 import agent_pb2 as ag
from plures.v1 import snapshot_pb2 as sn
from plures_server import snapshot_exchange, snapshot_files
from plures_server.engine import Engine
from plures_server.rpc.snapshots import SnapshotService
from plures_server.snapshot_reading import describe
from plures_server.snapshots import Snapshots

from ..helpers import names_in
from .helpers import Wire, connect, new_name, packed, refusal, span


def step(wire: Wire, cohort: str, steps: int = 3) -> list[Any]:
    return [answer.action for answer in wire.act([ag.ActRequest(cohort=cohort)] * steps)]


def listed(wire: Wire, **page: Any) -> sn.ListSnapshotsResponse:
    return wire.snapshots.ListSnapshots(sn.ListSnapshotsRequest(**page))


def download(wire: Wire, name: str) -> list[sn.FileChunk]:
    responses = wire.snapshots.DownloadSnapshot(sn.DownloadSnapshotRequest(name=name))
    return [response.chunk for response in responses]


def upload(wire: Wire, name: str, chunks: list[sn.FileChunk]) -> sn.Snapshot:
    requests = [sn.UploadSnapshotRequest(snapshot_id=name if n == 0 else "", chunk=c) for n, c in enumerate(chunks)]
    return wire.snapshots.UploadSnapshot(iter(requests)).snapshot


def folder_of(server: Any) -> Path:
    return Path(server.folder) / "data" / "snapshots"


@pytest.fixture
def saved(wire: Wire) -> sn.Snapshot:
    joe = wire.start(5, seed=7)
    step(wire, joe)
    return wire.save(joe, new_name())


@pytest.fixture(scope="module")
def elsewhere(launch_server: Callable[..., Any]) -> Iterator[tuple[Wire, Any]]:
    """Another server, with another folder and room for twenty agents."""
    server = launch_server("--max-agents", "20", "--memory-gb", "0.001")
    with connect(server.address) as wire:
        yield wire, server


def test_progress_is_told_and_the_snapshot_at_last(wire: Wire) -> None:
    joe = wire.start(3000)
    step(wire, joe, 1)
    *progress, last = wire.agents.Snapshot(ag.SnapshotRequest(name=joe, snapshot_id=new_name()))
    assert last.snapshot.agents == 3000
    assert all(event.progress.bytes <= event.progress.total_bytes <= 3000 * 4096 for event in progress)
    *progress, last = wire.agents.Restore(ag.RestoreRequest(snapshot=last.snapshot.name, cohort_id=new_name()))
    assert [event.progress.bytes for event in progress] == [3000 * 4096]
    assert last.cohort.alive == 3000


def test_agents_are_picked_and_go_on_with_their_own_seeds(wire: Wire) -> None:
    joe, name = wire.start(6, seed=3), new_name()
    step(wire, joe)
    snapshot = wire.save(joe, name, ordinals=packed(4, 1, 2))
    assert (snapshot.agents, snapshot.count) == (3, 3)
    picked = wire.restore(snapshot.name, new_name(), ordinals=packed(2, 0)).name
    told = wire.act([ag.ActRequest(cohort=picked)] * 20)
    expected = wire.act([ag.ActRequest(cohort=joe, ordinals=packed(2, 4))] * 20)
    assert [answer.action for answer in told] == [answer.action for answer in expected]


def test_snapshots_are_listed_by_page_and_deleted(wire: Wire, saved: sn.Snapshot, server: Any) -> None:
    again = wire.restore(saved.name, new_name())
    other = wire.save(again.name, new_name())
    everyone = listed(wire).snapshots
    assert saved in everyone
    assert other in everyone
    assert [each.name for each in everyone] == sorted(each.name for each in everyone)
    pages, token = [], ""
    while True:
        page = listed(wire, page_size=2, page_token=token)
        pages += page.snapshots
        if not (token := page.next_page_token):
            break
        assert len(page.snapshots) == 2
    assert pages == list(everyone)
    wire.snapshots.DeleteSnapshot(sn.DeleteSnapshotRequest(name=saved.name))
    assert saved not in listed(wire).snapshots
    assert refusal(lambda: wire.restore(saved.name, new_name())).reason == "UNKNOWN_SNAPSHOT"
    gone = refusal(lambda: wire.snapshots.DeleteSnapshot(sn.DeleteSnapshotRequest(name=saved.name)))
    assert (gone.code, gone.reason) == ("NOT_FOUND", "UNKNOWN_SNAPSHOT")
    assert not list(folder_of(server).glob(".*"))


def test_agents_move_to_a_server_that_shares_no_disk(
    wire: Wire, saved: sn.Snapshot, elsewhere: tuple[Wire, Any]
) -> None:
    there, _ = elsewhere
    name, old = new_name(), there.start(3)
    moved = upload(there, name, download(wire, saved.name))
    assert (moved.name, moved.digest, moved.bytes, moved.agents) == (f"snapshots/{name}", saved.digest, saved.bytes, 5)
    cohort = there.restore(moved.name, new_name(), ordinals=span(1, 4)).name
    here = wire.restore(saved.name, new_name()).name
    expected = [answer.action for answer in wire.act([ag.ActRequest(cohort=here, ordinals=span(1, 4))] * 9)]
    assert step(there, cohort, 9) == expected
    taken = refusal(lambda: upload(there, name, download(wire, saved.name)))
    assert (taken.code, taken.reason) == ("ALREADY_EXISTS", "ALREADY_EXISTS")
    for each in (old, cohort):
        there.agents.Retire(ag.RetireRequest(name=each))


def test_a_pool_that_is_full_restores_nothing(wire: Wire, elsewhere: tuple[Wire, Any]) -> None:
    there, _ = elsewhere
    crowd, name = wire.start(21), new_name()
    upload(there, name, download(wire, wire.save(crowd, name).name))
    before = there.pool()
    refused = refusal(lambda: there.restore(f"snapshots/{name}", "crowd"))
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "POOL_FULL")
    assert there.pool() == before


def altered(chunks: list[sn.FileChunk], **changes: Any) -> list[sn.FileChunk]:
    """The last chunk is not what was sent."""
    last = sn.FileChunk()
    last.CopyFrom(chunks[-1])
    for name, value in changes.items():
        setattr(last, name, value)
    return [*chunks[:-1], last]


DAMAGES: dict[str, tuple[Callable[[list[sn.FileChunk]], list[sn.FileChunk]], str]] = {
    "altered on the way": (lambda c: altered(c, data=b"x" * len(c[-1].data)), "was altered on the way"),
    "another offset": (lambda c: altered(c, offset=7), "bytes 7 to"),
    "cut short": (lambda c: c[:-1], "did not come"),
    "manifest alone": (lambda c: c[:1], "did not come"),
    "no manifest": (lambda c: c[1:], "its manifest is not JSON"),
    "a file twice": (lambda c: [*c, c[-1]], "bytes 0 to"),
    "a way out": (lambda c: altered(c, file="../../x"), "'../../x' came, which is not due"),
    "a file of its own": (lambda c: altered(c, file="pages-00009.safetensors"), "came, which is not due"),
    "junk": (lambda c: [sn.FileChunk(file="manifest.json", data=b"junk", crc32=0xF6CD4B31)], "altered on the way"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_what_is_damaged_on_the_way_is_refused_whole(
    wire: Wire, saved: sn.Snapshot, elsewhere: tuple[Wire, Any], what: str
) -> None:
    there, server = elsewhere
    spoil, said = DAMAGES[what]
    before = sorted(path.name for path in folder_of(server).iterdir())
    refused = refusal(lambda: upload(there, new_name(), spoil(download(wire, saved.name))))
    assert (refused.code, refused.reason) == ("DATA_LOSS", "DAMAGED_SNAPSHOT")
    assert said in refused.message
    assert sorted(path.name for path in folder_of(server).iterdir()) == before


def test_a_damaged_file_is_not_sent(wire: Wire, saved: sn.Snapshot, server: Any) -> None:
    pages = folder_of(server) / saved.name.removeprefix("snapshots/") / "pages-00000.safetensors"
    pages.write_bytes(pages.read_bytes()[:-1] + b"x")
    refused = refusal(lambda: download(wire, saved.name))
    assert (refused.code, refused.reason) == ("DATA_LOSS", "DAMAGED_SNAPSHOT")


BAD_PICKS = {
    "beyond": (packed(0, 5), "NOT_FOUND", "ordinals 0 to 4, not 5"),
    "twice": (packed(1, 1), "INVALID_ARGUMENT", "more than once"),
    "nobody": (packed(), "INVALID_ARGUMENT", "at least 1 agent, not 0"),
}


@pytest.mark.parametrize("what", BAD_PICKS)
def test_picks_that_make_no_sense_are_refused(wire: Wire, saved: sn.Snapshot, what: str) -> None:
    ordinals, code, said = BAD_PICKS[what]
    before = wire.pool()
    refused = refusal(lambda: wire.restore(saved.name, new_name(), ordinals=ordinals))
    assert refused.code == code
    assert said in refused.message
    assert wire.pool() == before


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".x"])
def test_names_that_lead_elsewhere_are_refused(wire: Wire, saved: sn.Snapshot, name: str) -> None:
    asked: list[Callable[[], Any]] = [
        lambda: wire.snapshots.DeleteSnapshot(sn.DeleteSnapshotRequest(name=f"snapshots/{name}")),
        lambda: download(wire, f"snapshots/{name}"),
        lambda: upload(wire, name, download(wire, saved.name)),
    ]
    for ask in asked:
        assert refusal(ask).code == "INVALID_ARGUMENT"


def test_a_folder_that_cannot_be_written_is_told(launch_server: Callable[..., Any]) -> None:
    server = launch_server()
    with connect(server.address) as wire:
        joe, folder = wire.start(2), folder_of(server)
        folder.rmdir()
        folder.write_text("in the way")
        refused = refusal(lambda: wire.save(joe, "monday"))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "STORAGE_FAILED")
        assert "the snapshot folder cannot be written: Not a directory" in refused.message
        assert str(folder) not in refused.message


@pytest.fixture
def big(launch_server: Callable[..., Any]) -> Iterator[tuple[Wire, Any]]:
    """A server with agents enough that a snapshot takes a while."""
    server = launch_server("--memory-gb", "1")
    with connect(server.address) as wire:
        joe = wire.agents.StartCohort(ag.StartCohortRequest(cohort_id="joe", student="students/bandit", count=60_000))
        wire.act([ag.ActRequest(cohort=joe.cohort.name)])
        yield wire, server
    shutil.rmtree(folder_of(server))


def begun(wire: Wire) -> Any:
    """A snapshot that is being written."""
    events = wire.agents.Snapshot(ag.SnapshotRequest(name="cohorts/joe", snapshot_id="monday"))
    for event in events:
        assert event.HasField("progress"), "it was too soon over for this test"
        if event.progress.bytes:
            return events
    raise AssertionError("it told of no progress")


def test_a_server_that_is_killed_in_the_midst_leaves_nothing(big: tuple[Wire, Any]) -> None:
    wire, server = big
    begun(wire)
    server.kill()
    assert len(list(folder_of(server).glob(".*"))) == 1, "it was killed in the midst"
    server.start()
    assert list(folder_of(server).iterdir()) == []
    with connect(server.address) as again:
        assert not listed(again).snapshots


def test_a_snapshot_that_is_cancelled_leaves_nothing(big: tuple[Wire, Any]) -> None:
    wire, server = big
    before = wire.pool()
    begun(wire).cancel()
    while list(folder_of(server).iterdir()):
        assert not listed(wire).snapshots
    wire.act([ag.ActRequest(cohort="cohorts/joe")])
    assert wire.pool() == before, "it holds no states any more"
    with pytest.raises(grpc.RpcError) as unknown:
        wire.restore("snapshots/monday", "again")
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_upload_that_is_cancelled_at_its_end_is_published_whole_or_not_at_all(
    wire: Wire, saved: sn.Snapshot, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks, service = download(wire, saved.name), SnapshotService(Snapshots(engine, tmp_path))
    at_the_end, go_on = threading.Event(), threading.Event()

    def publish_late(partial: Path, target: Path) -> None:
        at_the_end.set()
        assert go_on.wait(20)
        snapshot_files.publish(partial, target)

    monkeypatch.setattr(snapshot_exchange, "publish", publish_late)

    async def requests() -> AsyncIterator[sn.UploadSnapshotRequest]:
        for chunk in chunks:
            yield sn.UploadSnapshotRequest(snapshot_id="late", chunk=chunk)

    uploading = asyncio.ensure_future(service.UploadSnapshot(requests(), None))
    assert await asyncio.to_thread(at_the_end.wait, 20)
    uploading.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert names_in(tmp_path) == ["late"]
    assert describe(tmp_path / "late").digest == saved.digest
