"""The Lua scripts beside this file, bound to a connection. `QueueCalls` has one method for each."""

from functools import cache
from importlib import resources

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from .keys import PARTS

NAMES = ("enqueue", "lease", "renew", "complete", "release", "fail", "cancel", "requeue", "pause")


def bind_scripts(redis: Redis) -> dict[str, AsyncScript]:
    """The scripts by name. They are sent by digest, and in full only to a server that does not know them yet."""
    return {name: redis.register_script(script_text(name)) for name in NAMES}


@cache
def script_text(name: str) -> str:
    """A script in full: one local for each of the queue's keys, the prelude, the script itself, and a new time to live.

    Written once around all scripts, so that no key of a queue can outlive the others.
    """
    keys = f"local {', '.join(PARTS)} = unpack(KEYS)\n"
    body = f"local function act()\n{_read(name)}\nend\n"
    touch = "local reply = act()\nfor _, key in ipairs(KEYS) do call('PEXPIRE', key, ARGV[2]) end\nreturn reply\n"
    return keys + _read("prelude") + body + touch


def _read(name: str) -> str:
    return (resources.files(__package__) / "lua" / f"{name}.lua").read_text()
