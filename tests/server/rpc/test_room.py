"""What of a stream is in the server at a time, however slowly its answers are read."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from plures.v1 import agent_pb2 as ag
from plures_server.engine import Engine
from plures_server.rpc import act_stream
from plures_server.rpc.drain import Drain
from plures_server.rpc.room import Room

from ..helpers import start


async def settled() -> None:
    """Whatever the loop can do without anything from outside is done."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_there_is_room_for_so_many_things_and_so_many_bytes() -> None:
    room = Room(3, 100)
    for size in (60, 40):
        await room.acquire(size)
    waiting = asyncio.ensure_future(room.acquire(1))
    await settled()
    assert not waiting.done(), "bytes"
    room.release(60)
    await waiting
    await room.acquire(1)
    waiting = asyncio.ensure_future(room.acquire(1))
    await settled()
    assert not waiting.done(), "things"
    room.release(40)
    await waiting


async def test_what_is_larger_than_all_room_goes_alone() -> None:
    room = Room(3, 100)
    await room.acquire(1)
    large = asyncio.ensure_future(room.acquire(1000))
    await settled()
    assert not large.done()
    room.release(1)
    await large
    small = asyncio.ensure_future(room.acquire(1))
    await settled()
    assert not small.done()
    room.release(1000)
    await small


@pytest.mark.parametrize(
    ("more", "taken"),
    # 100 agents: 4 bytes each for the action, 8 for the steps, 8 for two log-probabilities; and about 20 a request.
    [({}, 2), ({"want_steps": True}, 1), ({"want_log_probs": True}, 1)],
)
async def test_a_slow_reader_piles_up_no_more_than_there_is_room_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, more: dict[str, bool], taken: int
) -> None:
    await start(engine, "joe", 100)
    monkeypatch.setattr(act_stream, "MAX_BYTES", 1000)
    sent = []

    async def requests() -> AsyncIterator[ag.ActRequest]:
        for n in range(6):
            sent.append(n)
            yield ag.ActRequest(id=n, cohort="cohorts/joe", **more)

    stream = act_stream.ActStream(engine, Drain()).serve(requests())
    assert (await anext(stream)).id == 0
    await settled()
    # One more has been read from the wire, and waits.
    assert len(sent) == taken + 1
    assert [answer.id async for answer in stream] == [1, 2, 3, 4, 5]
