"""The names of all keys in Redis. All of a queue's expire together, a time after its last use."""

from ..names import check_id

PARTS = (
    "ready",  # ZSET of chunk ids, all of score 0: in the order of their names
    "tenants",  # ZSET of tenants that may have ready chunks, by the items they were served
    "leases",  # ZSET of chunk ids by the ms at which their lease ends
    "holders",  # HASH chunk id → token of the lease
    "payloads",  # HASH root → items, packed
    "live",  # HASH root → ids of its chunks that are ready, leased or dead
    "attempts",  # HASH chunk id → leases so far
    "expiries",  # HASH root → the ms until which it must have begun
    "errors",  # HASH dead chunk id → why its last attempt bore no result
    "dead",  # LIST of chunk ids given up, oldest first
    "results",  # STREAM of results
    "outbox",  # STREAM of chunks that items put on other queues
    "finished",  # ZSET of `token chunk-id` by order of completion: the last few
    "submits",  # HASH submit id → items, first root, last root
    "submit_order",  # LIST of submit ids, oldest first
    "counts",  # HASH of counters, and of what is said of the queue as a whole
)
PREFIX = "plures:"


class QueueKeys:
    """A queue's keys. They share a hash tag, so that one script may touch them all in a Redis cluster, too."""

    def __init__(self, queue: str) -> None:
        check_id(queue, "queue")
        self.all = tuple(f"{PREFIX}{{{queue}}}:{part}" for part in PARTS)

    def __getitem__(self, part: str) -> str:
        return self.all[PARTS.index(part)]


ANY_COUNTS = f"{PREFIX}{{*}}:counts"
"""Pattern of the one key that every queue has."""


def queue_of(key: str) -> str:
    """The queue that a key belongs to."""
    return key.removeprefix(f"{PREFIX}{{").partition("}")[0]
