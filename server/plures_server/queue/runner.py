"""Runs scripts on queues: what may be repeated is repeated while the server is away, the rest is asked once."""

from collections.abc import Callable
from typing import Self, TypeVar

from .calls import Call, QueueCalls, QueueConfig
from .connection import Connection, ConnectionConfig
from .keys import QueueKeys
from .scripts import bind_scripts

T = TypeVar("T")


class ScriptRunner:
    """A connection with the scripts, and the clock by which leases end; 0 is the Redis server's, which all share."""

    def __init__(
        self,
        url: str,
        config: QueueConfig | None = None,
        connection: ConnectionConfig | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.config = config or QueueConfig()
        self._calls = QueueCalls(self.config)
        self._now_ms = clock or (lambda: 0)
        self._connection = Connection(url, connection or ConnectionConfig())
        self._scripts = bind_scripts(self._connection.commands)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()

    async def _once(self, queue: str, call: Call[T]) -> T:
        keys = QueueKeys(queue).all
        return call.read(await self._connection.once(lambda: self._scripts[call.script](keys, call.arguments)))

    async def _repeatedly(self, queue: str, call: Call[T]) -> T:
        keys = QueueKeys(queue).all
        return call.read(await self._connection.patiently(lambda: self._scripts[call.script](keys, call.arguments)))
