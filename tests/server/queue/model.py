"""What a queue should do, in plain Python: the truth that the store is compared with."""

from dataclasses import dataclass, field

from plures_server.queue.chunks import QueueStats

EXPIRED = "its lease expired: the worker died or stalled"


@dataclass
class ModelQueue:
    """One queue. Chunks go by their ids."""

    max_items: int
    max_attempts: int
    items: dict[str, int] = field(default_factory=dict)
    ready: list[str] = field(default_factory=list)
    holders: dict[str, str] = field(default_factory=dict)
    deadlines: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    finished: set[tuple[str, str]] = field(default_factory=set)
    submits: dict[str, int] = field(default_factory=dict)
    last_error: str = ""

    def stats(self) -> QueueStats:
        counted = (sum(self.items[id_] for id_ in ids) for ids in (self.ready, self.holders, self.done, self.dead))
        ready, leased, done, dead = counted
        return QueueStats(ready, leased, done, dead, self.last_error)

    def has_room_for(self, items: int) -> bool:
        stats = self.stats()
        return stats.ready + stats.leased + items <= self.max_items

    def enqueue(self, submit_id: str, sizes: list[int]) -> None:
        for items in sizes:
            id_ = f"{len(self.items) + 1}:{items}"
            self.items[id_] = items
            self.ready.append(id_)
        self.submits[submit_id] = sum(sizes)

    def lease(self, now_ms: int, count: int, visibility_ms: int, token: str) -> list[str]:
        self._reclaim(now_ms, 2 * count)
        taken, self.ready = self.ready[:count], self.ready[count:]
        for id_ in taken:
            self.holders[id_] = token
            self.deadlines[id_] = now_ms + visibility_ms
            self.attempts[id_] = self.attempts.get(id_, 0) + 1
        return taken

    def held(self, token: str, ids: list[str]) -> list[str]:
        return [id_ for id_ in ids if self.holders.get(id_) == token]

    def renew(self, now_ms: int, token: str, ids: list[str], visibility_ms: int) -> set[str]:
        held = self.held(token, ids)
        self.deadlines |= dict.fromkeys(held, now_ms + visibility_ms)
        return set(held)

    def complete(self, token: str, ids: list[str]) -> set[str]:
        for id_ in self.held(token, ids):
            self._end_lease(id_)
            self.done.append(id_)
            self.finished.add((token, id_))
        return {id_ for id_ in ids if (token, id_) in self.finished}

    def release(self, token: str, ids: list[str], last: bool) -> None:
        held = self.held(token, ids)
        for id_ in held:
            self._end_lease(id_)
            self.attempts[id_] -= 1
        self.ready = self.ready + held if last else held + self.ready

    def fail(self, token: str, ids: list[str], error: str) -> None:
        for id_ in self.held(token, ids):
            if self._may_try_again(id_, error):
                self.ready.append(id_)

    def _reclaim(self, now_ms: int, most: int) -> None:
        by_deadline = sorted(self.deadlines, key=lambda id_: (self.deadlines[id_], id_))
        expired = [id_ for id_ in by_deadline if self.deadlines[id_] <= now_ms][:most]
        # The last to expire is looked at first, so that the first is first in line again.
        again = [id_ for id_ in reversed(expired) if self._may_try_again(id_, EXPIRED)]
        self.ready[:0] = reversed(again)

    def _may_try_again(self, id_: str, error: str) -> bool:
        self._end_lease(id_)
        if self.attempts[id_] < self.max_attempts:
            return True
        self.dead.append(id_)
        self.last_error = error
        return False

    def _end_lease(self, id_: str) -> None:
        del self.holders[id_], self.deadlines[id_]
