"""Saves that go to the disk together: what was published since the last time, at an interval, and at the end."""

import logging
import threading

from plures_kernels.errors import PluresError

from .folder import StateFolder
from .state_file import State

log = logging.getLogger("vllm.plures")


class Syncer:
    """Saves states, and brings them to the disk within about so many seconds; with 0 before they go by their names."""

    def __init__(self, folder: StateFolder, seconds: float, most_bytes: int) -> None:
        """`most_bytes`: what may wait; beyond it, saves go to the disk at once, so that a slow disk is felt."""
        self._folder, self._seconds, self._most_bytes = folder, seconds, most_bytes
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sync-states", daemon=True)
        if seconds:
            self._thread.start()

    def save(self, name: str, state: State, now: bool) -> None:
        """StorageFailed."""
        with self._lock:
            durable = now or not self._seconds or self._waiting_bytes + state.nbytes > self._most_bytes
        self._folder.save(name, state, durable)
        if not durable:
            with self._lock:
                # Only now, so that no sync counts it that came before it.
                self._waiting_bytes += state.nbytes

    def sync(self) -> None:
        """Have all that was saved on the disk. A failure is logged: it is tried again the next time."""
        with self._lock:
            taken = self._waiting_bytes
        if not taken:
            return
        try:
            self._folder.sync()
        except PluresError as error:
            log.error("states are not on the disk yet: %s", error)
            return
        with self._lock:
            self._waiting_bytes -= taken

    def close(self) -> None:
        """Have all that was saved on the disk, and end."""
        self._closing.set()
        if self._seconds:
            self._thread.join()
        self.sync()

    def _run(self) -> None:
        while not self._closing.wait(self._seconds):
            self.sync()
