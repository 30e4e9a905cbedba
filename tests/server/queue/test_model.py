"""Any sequence of operations leaves the store as it leaves a queue written in plain Python."""

import asyncio
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from plures_server.errors import QueueFull, UnknownQueue
from plures_server.queue.chunks import Chunk, Enqueued, Lease
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .helpers import Clock, ids
from .model import ModelQueue

CONFIG = QueueConfig(max_items=25, max_attempts=2)
SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=4)
MILLISECONDS = st.integers(1, 60)
SOME = st.sets(st.integers(0, 3), min_size=1)


class QueueMachine(RuleBasedStateMachine):
    """Drives a store and its model side by side."""

    url: ClassVar[str]
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.store = QueueStore(self.url, CONFIG, clock=self.clock)
        self.model = ModelQueue(CONFIG.max_items, CONFIG.max_attempts)
        self.runner.run(self._empty_server())

    async def _empty_server(self) -> None:
        async with Redis.from_url(self.url, protocol=2) as redis:
            await redis.flushall()

    def teardown(self) -> None:
        self.runner.run(self.store.aclose())
        self.runner.close()

    @initialize(sizes=SIZES)
    def begin(self, sizes: list[int]) -> None:
        self.enqueue("begin", sizes)

    @rule(submit_id=st.sampled_from("abcdefgh"), sizes=SIZES)
    def enqueue(self, submit_id: str, sizes: list[int]) -> None:
        put = self.store.enqueue("q", submit_id, [Chunk(b"payload", items) for items in sizes])
        if submit_id in self.model.submits:
            assert self.runner.run(put) == Enqueued(self.model.submits[submit_id], duplicate=True)
        elif self.model.has_room_for(sum(sizes)):
            assert self.runner.run(put) == Enqueued(sum(sizes), duplicate=False)
            self.model.enqueue(submit_id, sizes)
        else:
            with pytest.raises(QueueFull):
                self.runner.run(put)

    @rule(target=leases, count=st.integers(1, 4), visibility_ms=MILLISECONDS)
    def lease(self, count: int, visibility_ms: int) -> Lease:
        lease = self.runner.run(self.store.lease("q", count, visibility_ms))
        assert ids(lease) == self.model.lease(self.clock(), count, visibility_ms, lease.token)
        assert [chunk.attempt for chunk in lease.chunks] == [self.model.attempts[id_] for id_ in ids(lease)]
        return lease

    @rule(ms=MILLISECONDS)
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)

    @rule(lease=leases, some=SOME, visibility_ms=MILLISECONDS)
    def renew(self, lease: Lease, some: set[int], visibility_ms: int) -> None:
        chosen = _chosen(lease, some)
        held = self.runner.run(self.store.renew("q", lease.token, chosen, visibility_ms))
        assert held == self.model.renew(self.clock(), lease.token, chosen, visibility_ms)

    @rule(lease=leases, some=SOME)
    def complete(self, lease: Lease, some: set[int]) -> None:
        chosen = _chosen(lease, some)
        accepted = self.runner.run(self.store.complete("q", lease.token, [(id_, id_.encode()) for id_ in chosen]))
        assert accepted == self.model.complete(lease.token, chosen)

    @rule(lease=leases, some=SOME, last=st.booleans())
    def release(self, lease: Lease, some: set[int], last: bool) -> None:
        self.runner.run(self.store.release("q", lease.token, _chosen(lease, some), last))
        self.model.release(lease.token, _chosen(lease, some), last)

    @rule(lease=leases, some=SOME, error=st.sampled_from(["broke", "broke again"]))
    def fail(self, lease: Lease, some: set[int], error: str) -> None:
        self.runner.run(self.store.fail("q", lease.token, _chosen(lease, some), error))
        self.model.fail(lease.token, _chosen(lease, some), error)

    @rule(sizes=SIZES)
    def delete_and_begin_again(self, sizes: list[int]) -> None:
        self.runner.run(self.store.delete("q"))
        with pytest.raises(UnknownQueue):
            self.runner.run(self.store.stats("q"))
        self.model = ModelQueue(CONFIG.max_items, CONFIG.max_attempts)
        self.enqueue("begin", sizes)

    @invariant()
    def stand_alike(self) -> None:
        if not self.model.submits:
            return
        assert self.runner.run(self.store.stats("q")) == self.model.stats()
        results = self.runner.run(self.store.results("q", "", 1_000))
        assert [payload.decode() for _, payload in results] == self.model.done
        dead = self.runner.run(self.store.dead_chunks("q", 1_000))
        assert [chunk.id for chunk in dead] == self.model.dead


def _chosen(lease: Lease, some: set[int]) -> list[str]:
    return [id_ for place, id_ in enumerate(ids(lease)) if place in some]


def test_the_store_is_the_model(server_url: str) -> None:
    QueueMachine.url = server_url
    slow = [HealthCheck.too_slow]
    bounds = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=slow)
    run_state_machine_as_test(QueueMachine, settings=bounds)
