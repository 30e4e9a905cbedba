"""The connection to Redis or Valkey: its errors become ours, and only what may be repeated is repeated."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ..errors import InvalidArgument, QueueUnavailable

T = TypeVar("T")

OUTAGES = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
"""What may be over in a moment: a restart, a stall, a fail-over."""

REFUSALS = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
    exceptions.OutOfMemoryError,
)
"""What lasts until an operator acts."""


@dataclass(frozen=True)
class ConnectionConfig:
    """How long to wait for Redis, and how many connections to open for commands that do not block."""

    socket_timeout_s: float = 5.0
    patience_s: float = 10.0
    max_connections: int = 16


class Connection:
    """Two pools of connections: one for commands, one for reads that block, so that readers never hold up work."""

    def __init__(self, url: str, config: ConnectionConfig) -> None:
        self.address = _without_credentials(url)
        self._config = config
        # redis-py repeats a command whose reply was lost, which may carry it out twice; whoever calls knows if it may.
        options = {
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": config.socket_timeout_s,
            "socket_connect_timeout": config.socket_timeout_s,
            "protocol": 2,
        }
        try:
            commands = BlockingConnectionPool.from_url(
                url, max_connections=config.max_connections, timeout=config.socket_timeout_s, **options
            )
        except ValueError as error:
            raise InvalidArgument(f"{self.address!r} is not the address of a Redis server: {error}") from error
        self.commands = Redis.from_pool(commands)
        self.readers = Redis.from_pool(ConnectionPool.from_url(url, **options))

    @property
    def longest_block_ms(self) -> int:
        """A read that blocks longer would look like a server that does not answer."""
        return int(self._config.socket_timeout_s * 500)

    async def once(self, command: Callable[[], Awaitable[T]]) -> T:
        """The command's reply. Raises QueueUnavailable; whether the command was carried out is then not known."""
        return await self._until(0.0, command)

    async def patiently(self, command: Callable[[], Awaitable[T]]) -> T:
        """The reply of a command that may be carried out twice, repeated for `patience_s`. Raises QueueUnavailable."""
        return await self._until(self._config.patience_s, command)

    async def aclose(self) -> None:
        await self.commands.aclose()
        await self.readers.aclose()

    async def _until(self, patience_s: float, command: Callable[[], Awaitable[T]]) -> T:
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience_s
        pause_s = 0.01
        while True:
            try:
                return await command()
            except exceptions.RedisError as error:
                is_over = clock() + pause_s > deadline
                if _is_refusal(error) or (isinstance(error, OUTAGES) and is_over):
                    raise self._unavailable(error) from error
                if not isinstance(error, OUTAGES):
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.5)

    def _unavailable(self, error: exceptions.RedisError) -> QueueUnavailable:
        cause = f"the queue store at {self.address} cannot be used: {type(error).__name__}: {error}"
        if _is_refusal(error):
            return QueueUnavailable(f"{cause}; mend that (user, password, memory or disk), then try again")
        return QueueUnavailable(f"{cause}; check that it runs, then try again: queued items are kept")


def _is_refusal(error: exceptions.RedisError) -> bool:
    # What a script was refused may come as the script's error; redis-py takes a wrong password for an outage.
    words = ("MISCONF", "-OOM", "Authentication required", "username-password pair", "invalid password")
    return isinstance(error, REFUSALS) or any(word in str(error) for word in words)


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
