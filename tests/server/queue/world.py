"""A small world on a virtual clock: workers that share a queue, crash, stall and miss replies, and what must hold.

Items are words. A chunk's payload is its items, joined by spaces; its result is the token it was done under, then the
items. An item may ask for children, whose words are the item's with a dot and a number behind it.
"""

import random
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

from plures_server.queue.calls import Call, QueueCalls, QueueConfig
from plures_server.queue.chunks import Child, Chunk, Lease, LeasedChunk, Result, Terms
from plures_server.queue.keys import QueueKeys

VISIBILITY_MS = 100
CONFIG = QueueConfig(max_attempts=4, attempts_whole=2, max_items=10_000)
CRASH, LOSS, STALL, JUMP = 0.02, 0.04, 0.15, 0.01
BUSY_STEPS = 50
WORKERS = 3

Asks = Callable[[int], Call[Any]]
Process = Generator[Asks, Any, None]


@dataclass
class Asked:
    """What a process asks now, and what it asked with: told to the world when it is carried out."""

    process: Process
    asks: Asks
    call: Call[Any]


class World:
    """One seed's history. `ask` says what is carried out next, `hear` takes the reply; `wrongs` are broken promises."""

    def __init__(self, seed: int) -> None:
        self.queue = f"world-{seed}"
        self.keys = QueueKeys(self.queue)
        self.wrongs: list[str] = []
        self._random = random.Random(seed)
        self._calls = QueueCalls(CONFIG)
        self._now_ms = 1_000_000
        self._steps = 0
        self._expected: Counter[str] = Counter()
        self._deadlines: dict[str, tuple[str, int]] = {}
        self._told: dict[str, bool] = {}
        self._waiting: list[tuple[Process, Asks]] = []
        self._asked: Asked | None = None
        self._begin(self._client())
        for _ in range(WORKERS):
            self._begin(self._worker())

    @property
    def is_busy(self) -> bool:
        """Whether anything may still happen."""
        return bool(self._waiting)

    def ask(self) -> Call[Any]:
        """The next call of a process that is drawn by lot, some time after the last one."""
        self._steps += 1
        if self._is_winding_down:
            self._now_ms += VISIBILITY_MS // 4
        else:
            self._now_ms += self._random.randrange(8)
            if self._random.random() < STALL:
                self._now_ms += VISIBILITY_MS
            if self._random.random() < JUMP:
                self._now_ms += self._random.choice([-1, 1]) * 100 * VISIBILITY_MS
                self._deadlines.clear()
        process, asks = self._waiting.pop(self._random.randrange(len(self._waiting)))
        self._asked = Asked(process, asks, asks(self._now_ms))
        return self._asked.call

    def hear(self, raw: Any) -> None:
        """The reply; it may be lost on its way, and who waits for it may die."""
        asked, self._asked = self._asked, None
        assert asked is not None
        if isinstance(raw, Exception):
            return self.wrongs.append(f"{asked.call.script} failed: {raw}")
        if asked.call.script == "lease" and None in raw:
            return self.wrongs.append("a chunk was leased without its items")
        reply = asked.call.read(raw)
        self._witness(asked.call, reply)
        if not self._is_winding_down and self._random.random() < CRASH:
            return self._begin(self._worker())
        if not self._is_winding_down and self._random.random() < LOSS:
            # Whoever may repeat it does; a lease is left to its end.
            return (
                self._waiting.append((asked.process, asked.asks))
                if asked.call.script != "lease"
                else self._begin(self._worker())
            )
        return self._go_on(asked.process, reply)

    def judge(self, results: list[str], dead: list[str]) -> list[str]:
        """All promises that were broken, when everything is over."""
        counted: Counter[str] = Counter()
        by_token = set()
        for result in results:
            token, *items = result.split(" ")
            counted.update(items)
            by_token |= {f"{token} {item}" for item in items}
        over = counted + Counter(dead)
        wrongs = [
            f"{item} has {over[item]} ends, not 1"
            for item in self._expected | over
            if over[item] != 1 or self._expected[item] != 1
        ]
        for done, accepted in self._told.items():
            if accepted != (done in by_token):
                wrongs.append(f"{done}: told that it {'counts' if accepted else 'does not count'}, wrongly")
        return self.wrongs + wrongs

    @property
    def _is_winding_down(self) -> bool:
        return self._steps > BUSY_STEPS

    def _begin(self, process: Process) -> None:
        self._waiting.append((process, next(process)))

    def _go_on(self, process: Process, reply: Any) -> None:
        try:
            self._waiting.append((process, process.send(reply)))
        except StopIteration:
            return

    def _client(self) -> Process:
        for number in range(3):
            words = [[f"{number}-{chunk}-{item}" for item in range(self._random.randint(1, 4))] for chunk in range(3)]
            self._expected.update(item for items in words for item in items)
            chunks = [Chunk(" ".join(items).encode(), len(items)) for items in words]
            yield partial(self._submit, f"{number}", chunks)

    def _submit(self, submit_id: str, chunks: list[Chunk], now_ms: int) -> Call[Any]:
        return self._calls.enqueue(now_ms, self.queue, submit_id, chunks, Terms())

    def _worker(self) -> Process:
        """Leases, renews now and then, and completes, fails or releases; then only completes, till all is done."""
        idle = 0
        # The last to go waits until every lease has ended.
        while idle < (1 if self._waiting else 5):
            lease: Lease = yield lambda now: self._calls.lease(now, 2, VISIBILITY_MS, ("",))
            idle = 0 if lease.chunks or not self._is_winding_down else idle + 1
            for chunk in lease.chunks:
                yield from self._work_on(lease.token, chunk)

    def _work_on(self, token: str, chunk: LeasedChunk) -> Process:
        while self._random.random() < 0.4:
            yield lambda now: self._calls.renew(now, token, [chunk.id], VISIBILITY_MS)
        yield self._end_of(token, chunk)

    def _end_of(self, token: str, chunk: LeasedChunk) -> Asks:
        end = self._random.random() if not self._is_winding_down else 1.0
        if end < 0.1:
            return lambda now: self._calls.fail(now, token, [chunk.id], "bad luck")
        if end < 0.2:
            return lambda now: self._calls.release(now, token, [chunk.id])
        result = Result(chunk.id, " ".join([token, *_words(chunk)]).encode(), self._children(chunk))
        return lambda now: self._calls.complete(now, token, [result])

    def _children(self, chunk: LeasedChunk) -> list[Child]:
        asking = [word for word in _words(chunk) if word.count(".") < 2 and self._random.random() < 0.15]
        return [Child(Chunk(f"{word}.0 {word}.1".encode(), 2)) for word in asking]

    def _witness(self, call: Call[Any], reply: Any) -> None:
        """What was carried out, whoever hears of it."""
        if call.script == "lease":
            for chunk in reply.chunks:
                self._check_that_it_was_free(chunk, reply.token)
        elif call.script == "renew":
            for id_ in reply:
                self._deadlines[id_] = (call.arguments[2], self._now_ms + VISIBILITY_MS)
        elif call.script in ("fail", "release", "complete"):
            for id_ in call.arguments[2:]:
                if isinstance(id_, str) and self._deadlines.get(id_, ("",))[0] == call.arguments[2]:
                    del self._deadlines[id_]
        if call.script == "complete":
            self._witness_completion(call, reply)

    def _check_that_it_was_free(self, chunk: LeasedChunk, token: str) -> None:
        if self._deadlines.get(chunk.id, ("", 0))[1] > self._now_ms:
            self.wrongs.append(f"{chunk.id} was leased again before its lease had ended")
        self._deadlines[chunk.id] = (token, self._now_ms + VISIBILITY_MS)

    def _witness_completion(self, call: Call[Any], accepted: frozenset[str]) -> None:
        id_, payload, _, *children = call.arguments[5:]
        token, *items = payload.decode().split(" ")
        is_new = not any(self._told.get(f"{token} {item}") for item in items)
        for item in items:
            self._told[f"{token} {item}"] = self._told.get(f"{token} {item}", False) or id_ in accepted
        if id_ in accepted and is_new:
            self._expected.update(word for packed in children[3::4] for word in packed.decode().split(" "))


def _words(chunk: LeasedChunk) -> list[str]:
    return chunk.payload.decode().split(" ")[chunk.rows]
