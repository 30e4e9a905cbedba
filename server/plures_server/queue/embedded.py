"""The queue store's default home: a Valkey server of our own, on a private unix socket, durable in one folder."""

import asyncio
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from redis import exceptions

from ..errors import QueueUnavailable
from . import dies_with_parent
from .binary import find_server
from .connection import Connection, ConnectionConfig
from .folder import PrivateFolder

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddedConfig:
    """`fsync` "always": what is acknowledged is on the disk; changes that wait together share one flush.

    With "everysec" Valkey acknowledges, while a flush is under way, what it has not written yet: its death can undo
    up to two seconds, and an item that was completed then has a second result.
    """

    fsync: Literal["always", "everysec"] = "always"
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 10.0
    restart_pause_s: float = 1.0


class EmbeddedValkey:
    """A private Valkey (or Redis) server with its data in `folder`. On Linux it ends with the thread that started it.

    A folder has one server: a second waits a while for the first to end, then raises QueueUnavailable.
    """

    def __init__(self, folder: Path, config: EmbeddedConfig | None = None, server: Path | None = None) -> None:
        self._config = config or EmbeddedConfig()
        self._server = server or find_server()
        self._folder = PrivateFolder(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{quote(str(self._folder.socket()))}"

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    async def start(self) -> None:
        """Start the server unless it runs, and wait until it answers. Raises QueueUnavailable."""
        if self.pid is not None:
            return
        await self._folder.hold(self._config.stop_timeout_s)
        self._process = self._launch()
        try:
            async with asyncio.timeout(self._config.start_timeout_s):
                await self._answering(self._process)
        except TimeoutError:
            raise self._failed(f"gave no answer in {self._config.start_timeout_s} s") from None

    async def keep_running(self) -> None:
        """Start the server again whenever it dies, until it is stopped."""
        while process := self._process:
            status = await asyncio.to_thread(process.wait)
            if process is self._process:
                _log.warning("the queue store died with status %s; starting it again", status)
                await self._restart()

    async def _restart(self) -> None:
        try:
            await self.start()
        # What keeps us from making a process, such as want of memory or of descriptors, may pass as well.
        except (QueueUnavailable, OSError) as error:
            _log.error("the queue store did not start; trying again in %s s: %s", self._config.restart_pause_s, error)
            await asyncio.sleep(self._config.restart_pause_s)

    async def stop(self) -> None:
        """End the server, its data safe in the folder, and let go of the folder."""
        process, self._process = self._process, None
        if process:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, self._config.stop_timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        self._folder.close()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(self._folder.holder,)
            )

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._folder.socket()),
            "unixsocketperm": "700",
            "dir": str(self._folder.path),
            "appendonly": "yes",
            "appendfsync": self._config.fsync,
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        server = [str(self._server), *(word for name, value in options.items() for word in (f"--{name}", value))]
        if sys.platform != "linux":
            return server
        return [sys.executable, "-I", "-S", dies_with_parent.__file__, str(os.getpid()), *server]

    async def _answering(self, process: subprocess.Popen[bytes]) -> None:
        connection = Connection(self.url, ConnectionConfig(socket_timeout_s=1.0))
        try:
            while not await _answers(connection):
                if process.poll() is not None:
                    raise self._failed(f"ended with status {process.returncode}")
                await asyncio.sleep(0.005)
        finally:
            await connection.aclose()

    @property
    def _log_path(self) -> Path:
        return self._folder.path / "valkey.log"

    def _failed(self, how: str) -> QueueUnavailable:
        last_lines = self._log_path.read_text(errors="replace").splitlines()[-3:]
        return QueueUnavailable(
            f"{self._server} {how}; it last wrote to {self._log_path}: {' | '.join(last_lines)}; mend that, or give "
            "the address of a running server with --redis-url"
        )


async def _answers(connection: Connection) -> bool:
    try:
        return bool(await connection.commands.ping())
    except (exceptions.ConnectionError, exceptions.TimeoutError):
        return False
