"""What callers see when Redis is killed, stalls, is full, or its replies are lost."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from plures_server.errors import InvalidArgument, QueueUnavailable, UnknownQueue
from plures_server.queue.chunks import Chunk, Lease, Result
from plures_server.queue.connection import ConnectionConfig
from plures_server.queue.embedded import EmbeddedValkey
from plures_server.queue.store import QueueStore
from redis.asyncio import Redis

from .helpers import LossyProxy, chunks, complete_all, ids, wait_until

IMPATIENT = ConnectionConfig(socket_timeout_s=0.2, patience_s=0.2)
HASTY = ConnectionConfig(patience_s=0.2)


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    """A server that the test may mistreat."""
    async with EmbeddedValkey(tmp_path / "queue") as valkey:
        yield valkey


def kill(valkey: EmbeddedValkey, number: signal.Signals) -> None:
    assert valkey.pid
    os.kill(valkey.pid, number)


async def die(valkey: EmbeddedValkey) -> None:
    kill(valkey, signal.SIGKILL)

    async def is_dead() -> bool:
        return valkey.pid is None

    await wait_until(is_dead)


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(valkey: EmbeddedValkey) -> None:
    async with QueueStore(valkey.url, connection=HASTY) as store:
        await store.enqueue("q", "submit", chunks(1, 2, 4, 8))
        lease = await store.lease("q", 3, 60_000)
        done, failed, held = ids(lease)
        await store.complete("q", lease.token, [Result(done, b"result")])
        await store.fail("q", lease.token, [failed], "no")
        before, results = await store.stats("q"), await store.results("q", "", 10)

        await die(valkey)
        for attempt in (
            lambda: store.stats("q"),
            lambda: store.lease("q", 1, 1_000),
            lambda: store.results("q", "", 1, block_ms=50),
        ):
            with pytest.raises(QueueUnavailable, match=r"valkey\.sock cannot be used: .*check that it runs"):
                await attempt()

        await valkey.start()
        assert await store.stats("q") == before
        assert await store.results("q", "", 10) == results
        assert await store.complete("q", lease.token, [Result(done, b"again"), Result(held, b"late")]) == {done, held}
        assert (await store.stats("q")).done == 5


async def test_what_may_be_repeated_outlasts_a_restart(valkey: EmbeddedValkey) -> None:
    async with QueueStore(valkey.url) as store:
        await store.enqueue("q", "submit", chunks(1, 2))
        lease = await store.lease("q", 2, 60_000)
        await die(valkey)
        async with asyncio.TaskGroup() as tasks:
            completing = tasks.create_task(complete_all(store, "q", lease))
            reading = tasks.create_task(store.results("q", "", 10, block_ms=2_000))
            await valkey.start()
        assert completing.result() == ids(lease)
        assert len(reading.result()) in (1, 2)


async def test_a_server_that_stalls_is_unavailable_until_it_goes_on(valkey: EmbeddedValkey) -> None:
    async with QueueStore(valkey.url) as store, QueueStore(valkey.url, connection=IMPATIENT) as impatient:
        await store.enqueue("q", "submit", chunks(1))
        kill(valkey, signal.SIGSTOP)
        try:
            for attempt in (
                lambda: impatient.stats("q"),
                lambda: impatient.lease("q", 1, 60_000),
                lambda: impatient.enqueue("q", "stalled", chunks(2)),
            ):
                with pytest.raises(QueueUnavailable, match="Timeout"):
                    await attempt()
        finally:
            kill(valkey, signal.SIGCONT)

        async def submission_is_known() -> bool:
            return (await store.enqueue("q", "stalled", chunks(2))).duplicate

        await wait_until(submission_is_known)
        stats = await store.stats("q")
        assert stats.ready + stats.leased == 3


async def test_a_cancelled_lease_gives_back_what_it_gets(valkey: EmbeddedValkey) -> None:
    async with QueueStore(valkey.url) as store:
        await store.enqueue("q", "submit", chunks(1, 2))
        # From here on the server knows the script, and the next call is carried out as soon as it is read.
        known = await store.lease("q", 2, 60_000)
        await store.release("q", known.token, ids(known))
        kill(valkey, signal.SIGSTOP)
        leasing = asyncio.create_task(store.lease("q", 2, 60_000))
        await _is_asked(leasing)
        leasing.cancel()
        kill(valkey, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await leasing
        assert (await store.stats("q")).ready == 3
        assert [chunk.attempt for chunk in (await store.lease("q", 2, 60_000)).chunks] == [1, 1]


async def _is_asked(task: asyncio.Task[Lease]) -> None:
    done, _ = await asyncio.wait({task}, timeout=0.05)
    assert not done


async def test_a_lost_reply_makes_no_second_submission(redis: Redis, server_url: str, tmp_path: Path) -> None:
    async with LossyProxy(server_url, tmp_path) as proxy, QueueStore(proxy.url) as store:
        await store.enqueue("q", "first", chunks(1))
        proxy.lose_replies(3)
        assert (await store.enqueue("q", "second", chunks(2, 3))).items == 5
        assert (await store.stats("q")).ready == 6


async def test_a_lost_reply_makes_no_accepted_result_look_refused(
    redis: Redis, server_url: str, tmp_path: Path
) -> None:
    async with LossyProxy(server_url, tmp_path) as proxy, QueueStore(proxy.url) as store:
        await store.enqueue("q", "first", chunks(1, 2))
        lease = await store.lease("q", 2, 60_000)
        # The script is not known to the server yet, so the first reply lost is one that says so.
        proxy.lose_replies(3)
        assert await complete_all(store, "q", lease) == ids(lease)
        assert proxy.losses == 0
        assert (await store.stats("q")).done == 3
        assert len(await store.results("q", "", 10)) == 2


async def test_a_failure_whose_reply_is_lost_counts_once(redis: Redis, server_url: str, tmp_path: Path) -> None:
    async with LossyProxy(server_url, tmp_path) as proxy, QueueStore(proxy.url) as store:
        await store.enqueue("q", "submit", chunks(1))
        first = await store.lease("q", 1, 60_000)
        proxy.lose_replies(3)
        await store.fail("q", first.token, ids(first), "no")
        [again] = (await store.lease("q", 1, 60_000)).chunks
        assert again.attempt == 2


async def test_a_lease_whose_reply_is_lost_is_not_asked_for_again(
    redis: Redis, server_url: str, tmp_path: Path
) -> None:
    async with LossyProxy(server_url, tmp_path) as proxy, QueueStore(proxy.url) as store:
        await store.enqueue("q", "submit", chunks(1, 1, 1))
        await store.lease("q", 1, 60_000)
        proxy.lose_replies(1)
        with pytest.raises(QueueUnavailable):
            await store.lease("q", 1, 60_000)
        stats = await store.stats("q")
        assert (stats.ready, stats.leased) == (1, 2)


async def test_a_server_without_memory_refuses_a_submission_as_a_whole(redis: Redis, server_url: str) -> None:
    async with QueueStore(server_url) as store:
        await store.enqueue("q", "small", chunks(1))
        used = (await redis.info("memory"))["used_memory"]
        await redis.config_set("maxmemory", used + 2_000_000)
        big = [Chunk(bytes(500_000), 1)] * 10
        try:
            with pytest.raises(QueueUnavailable, match=r"used memory > 'maxmemory'.*; mend that"):
                await store.enqueue("q", "big", big)
            assert (await store.stats("q")).ready == 1
        finally:
            await redis.config_set("maxmemory", 0)
        assert not (await store.enqueue("q", "big", big)).duplicate


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[str]:
    """The socket of a server that asks for a password."""
    async with EmbeddedValkey(tmp_path / "guarded") as valkey, Redis.from_url(valkey.url, protocol=2) as redis:
        await redis.config_set("requirepass", "right")
        yield valkey.url.removeprefix("unix://")


@pytest.mark.parametrize("password", ["", ":sesame@"])
async def test_a_wrong_password_is_told_and_kept(guarded: str, password: str) -> None:
    async with QueueStore(f"unix://{password}{guarded}") as store:
        with pytest.raises(QueueUnavailable, match=r"cannot be used: .*; mend that \(user, password") as caught:
            await store.enqueue("q", "submit", chunks(1))
    assert "sesame" not in str(caught.value)
    async with QueueStore(f"unix://:right@{guarded}") as store:
        assert (await store.enqueue("q", "submit", chunks(1))).items == 1


async def test_a_server_that_comes_back_empty_knows_nothing_and_takes_all_again(
    valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    async with QueueStore(valkey.url) as store:
        await store.enqueue("q", "first", chunks(1, 2))
        await store.enqueue("q", "second", chunks(4))
        before, lease = await store.stats("q"), await store.lease("q", 2, 60_000)
        await die(valkey)
        shutil.rmtree(tmp_path / "queue" / "appendonlydir")
        await valkey.start()
        with pytest.raises(UnknownQueue, match="there is no queue 'q'"):
            await store.stats("q")
        assert await store.renew("q", lease.token, ids(lease), 60_000) == frozenset()
        assert await complete_all(store, "q", lease) == []
        # Whoever put them puts them again, by the same ids.
        for _ in range(2):
            await store.enqueue("q", "first", chunks(1, 2))
            await store.enqueue("q", "second", chunks(4))
        assert await complete_all(store, "q", lease) == []
        after = await store.stats("q")
        assert (after, after.incarnation != before.incarnation) == (before, True)


async def test_errors_name_the_address_and_keep_the_password() -> None:
    async with QueueStore("redis://user:secret@127.0.0.1:1/3", connection=IMPATIENT) as store:
        with pytest.raises(QueueUnavailable) as caught:
            await store.stats("q")
    assert "redis://127.0.0.1:1/3 " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"'localhost:6379' is not the address of a Redis server: .*redis://"):
        QueueStore("localhost:6379")
