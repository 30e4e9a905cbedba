"""The private folder of an embedded server: who holds it, and where its socket is."""

import asyncio
import fcntl
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ..errors import InvalidArgument, QueueUnavailable

MOST_SOCKET_PATH_BYTES = 107
"""What a kernel takes as the path of a unix socket."""


class PrivateFolder:
    """A folder that only we may enter, held by one server at a time."""

    def __init__(self, path: Path) -> None:
        """Make the folder, or close it to others when it exists."""
        self.path = path.absolute()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self._elsewhere: Path | None = None
        self._undo = ExitStack()
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._undo.callback(os.close, self._lock)

    async def hold(self, patience_s: float) -> None:
        """Wait until nobody else holds the folder, then hold it. Raises QueueUnavailable after `patience_s`."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience_s
        while not self._try_lock():
            if clock() > deadline:
                raise QueueUnavailable(f"{self.path} is in use by another server: stop that one or give another folder")
            await asyncio.sleep(0.02)

    @property
    def holder(self) -> int:
        """A descriptor that holds the folder as long as it is open; a server that inherits it holds it till its death,
        so that no successor opens the folder while it still writes.
        """
        return self._lock

    def socket(self) -> Path:
        """Where the server's socket is: in the folder, or in a temporary one when the folder's path is too long."""
        if _fits(here := self.path / "valkey.sock"):
            return here
        if self._elsewhere is None:
            self._elsewhere = Path(self._undo.enter_context(tempfile.TemporaryDirectory(prefix="plures-")))
        if not _fits(there := self._elsewhere / "valkey.sock"):
            raise InvalidArgument(
                f"neither {here} nor {there} can be a socket: their paths are longer than {MOST_SOCKET_PATH_BYTES} "
                "bytes; give a folder with a shorter path, or set TMPDIR to one"
            )
        return there

    def close(self) -> None:
        """Let go of the folder."""
        self._undo.close()

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MOST_SOCKET_PATH_BYTES
