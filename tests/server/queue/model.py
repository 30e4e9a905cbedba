"""What a queue should do, in plain Python: the truth that the store is compared with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from plures_server.queue.chunks import QueueStats

EXPIRED = "its lease expired: the worker died or stalled"


@dataclass(frozen=True, order=True)
class ModelChunk:
    """Ordered as one tenant's chunks are served."""

    urgency: int
    order: int
    depth: int
    root: int
    first: int
    items: int
    kind: str
    tenant: str

    @property
    def id(self) -> str:
        place = f"{self.tenant}/{self.kind}/{self.urgency}/{self.order:014d}"
        return f"{place}/{self.depth}/{self.root:014d}/{self.first}/{self.items}"


@dataclass
class ModelQueue:
    """One queue."""

    max_items: int
    max_attempts: int
    attempts_whole: int
    known: dict[str, ModelChunk] = field(default_factory=dict)
    ready: set[ModelChunk] = field(default_factory=set)
    served: dict[str, int] = field(default_factory=dict)
    time: int = 0
    sequence: int = 0
    holders: dict[ModelChunk, str] = field(default_factory=dict)
    deadlines: dict[ModelChunk, int] = field(default_factory=dict)
    attempts: dict[ModelChunk, int] = field(default_factory=dict)
    done: list[ModelChunk] = field(default_factory=list)
    dead: list[ModelChunk] = field(default_factory=list)
    finished: set[tuple[str, str]] = field(default_factory=set)
    submits: dict[str, tuple[int, range]] = field(default_factory=dict)
    cancelled: int = 0
    paused: bool = False
    last_error: str = ""

    def stats(self) -> QueueStats:
        ready, leased, done, dead = map(_items, (self.ready, self.holders, self.done, self.dead))
        return QueueStats(ready, leased, done, dead, self.last_error, self.cancelled, self.paused)

    def has_room_for(self, items: int) -> bool:
        return _items(self.ready) + _items(self.holders) + items <= self.max_items

    def enqueue(self, submit_id: str, sizes: Sequence[int], tenant: str, priority: int, kind: str) -> None:
        first = self.sequence + 1
        for items in sizes:
            self._put(tenant, kind, 9 - priority, 0, items)
        self.submits[submit_id] = sum(sizes), range(first, self.sequence + 1)

    def lease(self, now_ms: int, count: int, visibility_ms: int, kinds: Sequence[str], token: str) -> list[str]:
        self._reclaim(now_ms, 2 * count)
        taken = [] if self.paused else self._take(count, kinds)
        for chunk in taken:
            self.holders[chunk] = token
            self.deadlines[chunk] = now_ms + visibility_ms
            self.attempts[chunk] = self.attempts.get(chunk, 0) + 1
        return [chunk.id for chunk in taken]

    def held(self, token: str, ids: Iterable[str]) -> list[ModelChunk]:
        by_id = {chunk.id: chunk for chunk, holder in self.holders.items() if holder == token}
        return [by_id[id_] for id_ in ids if id_ in by_id]

    def renew(self, now_ms: int, token: str, ids: Sequence[str], visibility_ms: int) -> set[str]:
        held = self.held(token, ids)
        self.deadlines |= dict.fromkeys(held, now_ms + visibility_ms)
        return {chunk.id for chunk in held}

    def complete(self, token: str, ids: Sequence[str], child_items: int) -> set[str]:
        for chunk in self.held(token, ids):
            self._end_lease(chunk)
            self.done.append(chunk)
            self.finished.add((token, chunk.id))
            if child_items:
                self._put(chunk.tenant, chunk.kind, chunk.urgency, chunk.depth + 1, child_items)
        return {id_ for id_ in ids if (token, id_) in self.finished}

    def release(self, token: str, ids: Sequence[str]) -> None:
        for chunk in self.held(token, ids):
            self._end_lease(chunk)
            self.attempts[chunk] -= 1
            self._make_ready(chunk)

    def fail(self, token: str, ids: Sequence[str], error: str) -> None:
        for chunk in self.held(token, ids):
            self._end_attempt(chunk, error, behind=True)

    def cancel(self, submit_id: str | None) -> int:
        roots = None if submit_id is None else self.submits[submit_id][1]
        gone = [chunk for chunk in (*self.ready, *self.holders) if roots is None or chunk.root in roots]
        for chunk in gone:
            if chunk in self.holders:
                self._end_lease(chunk)
            self.ready.discard(chunk)
        self.cancelled += _items(gone)
        return _items(gone)

    def requeue(self) -> int:
        again, self.dead = self.dead, []
        for chunk in again:
            self._put_behind(chunk, 0)
        return _items(again)

    def _put(self, tenant: str, kind: str, urgency: int, depth: int, items: int) -> None:
        self.sequence += 1
        self._make_ready(ModelChunk(urgency, self.sequence, depth, self.sequence, 0, items, kind, tenant))

    def _put_behind(self, chunk: ModelChunk, attempts: int) -> None:
        self.sequence += 1
        behind = replace(chunk, order=self.sequence)
        self.attempts[behind] = attempts
        self._make_ready(behind)

    def _make_ready(self, chunk: ModelChunk) -> None:
        self.known[chunk.id] = chunk
        self.ready.add(chunk)
        self.served.setdefault(chunk.tenant, self.time)

    def _take(self, count: int, kinds: Sequence[str]) -> list[ModelChunk]:
        taken: list[ModelChunk] = []
        having = set(self.served)
        while having and len(taken) < count:
            tenant = min(having, key=lambda tenant: (self.served[tenant], tenant))
            fitting = sorted(chunk for chunk in self.ready if chunk.tenant == tenant and chunk.kind in kinds)
            if fitting:
                self.time = self.served[tenant]
                self.served[tenant] += fitting[0].items
                self.ready.remove(fitting[0])
                taken.append(fitting[0])
            else:
                having.remove(tenant)
                if not any(chunk.tenant == tenant for chunk in self.ready):
                    del self.served[tenant]
        return taken

    def _reclaim(self, now_ms: int, most: int) -> None:
        by_deadline = sorted(self.deadlines, key=lambda chunk: (self.deadlines[chunk], chunk.id))
        for chunk in [chunk for chunk in by_deadline if self.deadlines[chunk] <= now_ms][:most]:
            self._end_attempt(chunk, EXPIRED, behind=False)

    def _end_attempt(self, chunk: ModelChunk, error: str, behind: bool) -> None:
        self._end_lease(chunk)
        tried = self.attempts[chunk]
        if chunk.items > 1 and tried >= self.attempts_whole:
            half = -(-chunk.items // 2)
            first = replace(chunk, items=half)
            for part in (first, replace(chunk, first=chunk.first + half, items=chunk.items - half)):
                self.attempts[part] = tried
                self._make_ready(part)
        elif tried >= self.max_attempts:
            self.dead.append(chunk)
            self.last_error = error
        elif behind:
            self._put_behind(chunk, tried)
        else:
            self._make_ready(chunk)

    def _end_lease(self, chunk: ModelChunk) -> None:
        del self.holders[chunk], self.deadlines[chunk]


def _items(chunks: Iterable[ModelChunk]) -> int:
    return sum(chunk.items for chunk in chunks)
