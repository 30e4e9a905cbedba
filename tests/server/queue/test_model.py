"""Any sequence of operations leaves the store as it leaves a queue written in plain Python."""

import asyncio
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from plures_server.errors import QueueFull, UnknownQueue, UnknownSubmission
from plures_server.queue.chunks import Child, Chunk, Enqueued, Lease, Result, Terms
from plures_server.queue.store import QueueConfig, QueueStore
from redis.asyncio import Redis

from .helpers import Clock, ids
from .model import ModelQueue

CONFIG = QueueConfig(max_items=25, max_attempts=3, attempts_whole=2)
KINDS = ["", "a", "b-1"]
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
        self.model = ModelQueue(CONFIG.max_items, CONFIG.max_attempts, CONFIG.attempts_whole)
        self.runner.run(self._empty_server())

    async def _empty_server(self) -> None:
        async with Redis.from_url(self.url, protocol=2) as redis:
            await redis.flushall()

    def teardown(self) -> None:
        self.runner.run(self.store.aclose())
        self.runner.close()

    @initialize(sizes=SIZES)
    def begin(self, sizes: list[int]) -> None:
        self.enqueue("begin", sizes, Terms(), "")

    @rule(
        submit_id=st.sampled_from("abcdefgh"),
        sizes=SIZES,
        terms=st.builds(Terms, st.sampled_from(["joe", "jane"]), st.integers(0, 2)),
        kind=st.sampled_from(KINDS),
    )
    def enqueue(self, submit_id: str, sizes: list[int], terms: Terms, kind: str) -> None:
        put = self.store.enqueue("q", submit_id, [Chunk(b"payload", items, kind) for items in sizes], terms)
        if submit_id in self.model.submits:
            assert self.runner.run(put) == Enqueued(self.model.submits[submit_id][0], duplicate=True)
        elif self.model.has_room_for(sum(sizes)):
            assert self.runner.run(put) == Enqueued(sum(sizes), duplicate=False)
            self.model.enqueue(submit_id, sizes, terms.tenant, terms.priority, kind)
        else:
            with pytest.raises(QueueFull):
                self.runner.run(put)

    @rule(
        target=leases,
        count=st.integers(1, 4),
        visibility_ms=MILLISECONDS,
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, unique=True),
    )
    def lease(self, count: int, visibility_ms: int, kinds: list[str]) -> Lease:
        lease = self.runner.run(self.store.lease("q", count, visibility_ms, kinds))
        assert ids(lease) == self.model.lease(self.clock(), count, visibility_ms, kinds, lease.token)
        attempts = [self.model.attempts[self.model.known[id_]] for id_ in ids(lease)]
        assert [chunk.attempt for chunk in lease.chunks] == attempts
        return lease

    @rule(ms=MILLISECONDS)
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)

    @rule(lease=leases, some=SOME, visibility_ms=MILLISECONDS)
    def renew(self, lease: Lease, some: set[int], visibility_ms: int) -> None:
        chosen = _chosen(lease, some)
        held = self.runner.run(self.store.renew("q", lease.token, chosen, visibility_ms))
        assert held == self.model.renew(self.clock(), lease.token, chosen, visibility_ms)

    @rule(lease=leases, some=SOME, child_items=st.integers(0, 2))
    def complete(self, lease: Lease, some: set[int], child_items: int) -> None:
        """With a child of the parent's kind, or none."""
        chosen = _chosen(lease, some)
        results = [Result(id_, id_.encode(), _children(id_, child_items)) for id_ in chosen]
        accepted = self.runner.run(self.store.complete("q", lease.token, results))
        assert accepted == self.model.complete(lease.token, chosen, child_items)

    @rule(lease=leases, some=SOME)
    def release(self, lease: Lease, some: set[int]) -> None:
        self.runner.run(self.store.release("q", lease.token, _chosen(lease, some)))
        self.model.release(lease.token, _chosen(lease, some))

    @rule(submit_id=st.sampled_from("abcdefgh"))
    def cancel(self, submit_id: str) -> None:
        if submit_id in self.model.submits:
            assert self.runner.run(self.store.cancel("q", submit_id)) == self.model.cancel(submit_id)
        else:
            with pytest.raises(UnknownSubmission):
                self.runner.run(self.store.cancel("q", submit_id))

    @rule()
    def cancel_all(self) -> None:
        assert self.runner.run(self.store.cancel("q")) == self.model.cancel(None)

    @rule()
    def requeue(self) -> None:
        assert self.runner.run(self.store.requeue("q")) == self.model.requeue()

    @rule(paused=st.booleans())
    def pause_or_resume(self, paused: bool) -> None:
        self.runner.run(self.store.pause("q") if paused else self.store.resume("q"))
        self.model.paused = paused

    @rule(lease=leases, some=SOME, error=st.sampled_from(["broke", "broke again"]))
    def fail(self, lease: Lease, some: set[int], error: str) -> None:
        self.runner.run(self.store.fail("q", lease.token, _chosen(lease, some), error))
        self.model.fail(lease.token, _chosen(lease, some), error)

    @rule(sizes=SIZES)
    def delete_and_begin_again(self, sizes: list[int]) -> None:
        self.runner.run(self.store.delete("q"))
        with pytest.raises(UnknownQueue):
            self.runner.run(self.store.stats("q"))
        self.model = ModelQueue(CONFIG.max_items, CONFIG.max_attempts, CONFIG.attempts_whole)
        self.enqueue("begin", sizes, Terms(), "")

    @invariant()
    def stand_alike(self) -> None:
        if not self.model.submits:
            return
        assert self.runner.run(self.store.stats("q")) == self.model.stats()
        results = self.runner.run(self.store.results("q", "", 1_000))
        assert [payload.decode() for _, payload in results] == [chunk.id for chunk in self.model.done]
        dead = self.runner.run(self.store.dead_chunks("q", 1_000))
        assert [chunk.id for chunk in dead] == [chunk.id for chunk in self.model.dead]


def _children(id_: str, items: int) -> list[Child]:
    return [Child(Chunk(b"child", items, id_.split("/")[1]))] if items else []


def _chosen(lease: Lease, some: set[int]) -> list[str]:
    return [id_ for place, id_ in enumerate(ids(lease)) if place in some]


def test_the_store_is_the_model(server_url: str) -> None:
    QueueMachine.url = server_url
    slow = [HealthCheck.too_slow]
    bounds = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=slow)
    run_state_machine_as_test(QueueMachine, settings=bounds)
