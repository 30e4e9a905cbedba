"""The names of all keys in Redis. None expires: together they stand until their queue is deleted."""

from ..names import check_id

PARTS = (
    "ready",  # LIST of chunk ids, next one first
    "leases",  # ZSET of chunk ids by the ms at which their lease ends
    "holders",  # HASH chunk id → token of the lease
    "payloads",  # HASH chunk id → items, packed
    "attempts",  # HASH chunk id → leases so far
    "errors",  # HASH chunk id → why the last attempt bore no result
    "dead",  # LIST of chunk ids given up, oldest first
    "results",  # STREAM of results
    "finished",  # ZSET of `token chunk-id` by order of completion: the last few
    "submits",  # HASH submit id → items
    "submit_order",  # LIST of submit ids, oldest first
    "counts",  # HASH of counters, and of what is said of the queue as a whole
)
PREFIX = "plures:"


class QueueKeys:
    """A queue's keys. They share a hash tag, so that one script may touch them all in a Redis cluster, too."""

    def __init__(self, queue: str) -> None:
        check_id(queue, "queue")
        self.all = tuple(f"{PREFIX}{{{queue}}}:{part}" for part in PARTS)
        self.counts = self._key("counts")
        self.dead = self._key("dead")
        self.errors = self._key("errors")
        self.payloads = self._key("payloads")
        self.results = self._key("results")

    def _key(self, part: str) -> str:
        return self.all[PARTS.index(part)]


ANY_COUNTS = f"{PREFIX}{{*}}:counts"
"""Pattern of the one key that every queue has."""


def queue_of(key: str) -> str:
    """The queue that a key belongs to."""
    return key.removeprefix(f"{PREFIX}{{").partition("}")[0]
