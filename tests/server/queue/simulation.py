"""Many worlds at once on one real server, a queue each: what they ask next travels together."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from plures_server.queue.scripts import NAMES, script_text
from redis import Redis

from .world import World

WORLDS_AT_ONCE = 25
GROUPS_AT_ONCE = 4
"""While the server carries out what one group asks, others make up their minds."""
LASTING = "for _, key in ipairs(KEYS) do call('PEXPIRE', key, ARGV[2]) end"
"""More than half of all that a script does, and nothing that a world of a few seconds could tell: it is left out."""
Mutant = Mapping[str, tuple[tuple[str, str], ...]]


def broken_promises(redis: Redis, seeds: Sequence[int], mutant: Mutant | None = None) -> Iterator[str]:
    """What goes wrong in the worlds of these seeds; `mutant` replaces text of scripts by other text, by script."""
    digests = {name: redis.script_load(_mutated(name, mutant or {})) for name in NAMES}
    groups = [seeds[first : first + WORLDS_AT_ONCE] for first in range(0, len(seeds), WORLDS_AT_ONCE)]
    with ThreadPoolExecutor(GROUPS_AT_ONCE) as threads:
        for wrongs in threads.map(partial(_live, redis, digests), groups):
            yield from wrongs


def _live(redis: Redis, digests: Mapping[str, Any], seeds: Sequence[int]) -> list[str]:
    worlds = [World(seed) for seed in seeds]
    _run(redis, digests, worlds)
    return [f"{world.queue}: {wrong}" for world in worlds for wrong in _judge(redis, world)]


def _run(redis: Redis, digests: Mapping[str, Any], worlds: list[World]) -> None:
    while busy := [world for world in worlds if world.is_busy]:
        pipeline = redis.pipeline(transaction=False)
        for world in busy:
            call, keys = world.ask(), world.keys.all
            pipeline.evalsha(digests[call.script], len(keys), *keys, *call.arguments)
        for world, reply in zip(busy, pipeline.execute(raise_on_error=False), strict=True):
            world.hear(reply)


def _judge(redis: Redis, world: World) -> list[str]:
    keys = world.keys
    entries: Any = redis.xrange(keys["results"])
    results = [fields[b"result"].decode() for _, fields in entries]
    dead: list[str] = []
    ids: Any = redis.lrange(keys["dead"], 0, -1)
    for id_ in ids:
        *_, root, first, items = id_.decode().split("/")
        payload: Any = redis.hget(keys["payloads"], root)
        dead += (payload or b"").decode().split(" ")[int(first) : int(first) + int(items)]
    redis.unlink(*keys.all)
    return world.judge(results, dead)


def _mutated(name: str, mutant: Mutant) -> str:
    text = script_text(name)
    for old, new in ((LASTING, ""), *mutant.get(name, ())):
        assert old in text, f"{old!r} is not in {name}.lua, so that the mutant would be none"
        text = text.replace(old, new)
    return text
