"""What is told of an engine that has no time to answer."""

import asyncio
import threading
from itertools import islice

from plures_server.engine import Engine
from plures_server.queue.store import QueueStore
from plures_server.telemetry.collector import ServerCollector

from ..helpers import act, start


async def test_requests_that_wait_are_told(engine: Engine, store: QueueStore) -> None:
    await start(engine, "joe", 3)
    collector = ServerCollector(engine, store, asyncio.get_running_loop(), bandwidth=1.0)
    busy, free = threading.Event(), threading.Event()

    def waits(_: object) -> bool:
        busy.set()
        return free.wait(20)

    occupied = engine.ask(waits)
    await asyncio.to_thread(busy.wait, 20)
    acting = [act(engine, "joe", [ordinal]) for ordinal in range(3)]
    assert _told(collector) == 3
    free.set()
    await asyncio.gather(asyncio.wrap_future(occupied), *acting)
    assert _told(collector) == 0


def _told(collector: ServerCollector) -> float:
    # What comes after it needs the engine's answer.
    _, waiting = islice(collector.collect(), 2)
    assert waiting.name == "plures_requests_waiting"
    return waiting.samples[0].value
