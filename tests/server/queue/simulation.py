"""Many worlds at once on one real server, a queue each: what they ask next travels together."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from plures_server.queue.scripts import NAMES, script_text
from redis import Redis

from .world import World

WORLDS_AT_ONCE = 50
Mutant = Mapping[str, tuple[tuple[str, str], ...]]


def broken_promises(redis: Redis, seeds: Iterable[int], mutant: Mutant | None = None) -> Iterator[str]:
    """What goes wrong in the worlds of these seeds; `mutant` replaces text of scripts by other text, by script."""
    digests = {name: redis.script_load(_mutated(name, mutant or {})) for name in NAMES}
    waiting = list(seeds)
    while waiting:
        worlds, waiting = [World(seed) for seed in waiting[:WORLDS_AT_ONCE]], waiting[WORLDS_AT_ONCE:]
        _run(redis, digests, worlds)
        for world in worlds:
            yield from (f"{world.queue}: {wrong}" for wrong in _judge(redis, world))


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
    for old, new in mutant.get(name, ()):
        assert old in text, f"{old!r} is not in {name}.lua, so that the mutant would be none"
        text = text.replace(old, new)
    return text
