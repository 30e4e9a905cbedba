"""A journal: the log of one family of cohorts, one that was started and its forks, as the engine's thread knows it."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from plures.v1 import log_pb2

from ..errors import LogUnavailable
from .log_files import LogFiles
from .policy import Durability, DurableConfig, Level

if TYPE_CHECKING:
    from ..cohort import Cohort

MAX_FRAME_BYTES = 32 << 20
"""What goes to the disk in one flush is about so much at most."""
OPENING = "its first checkpoint is being written"


@dataclass(frozen=True)
class Write:
    """Something to log. It is put into bytes by the thread that writes."""

    entry: Callable[[], log_pb2.LogEntry]


@dataclass(frozen=True)
class Do:
    """Something to do when all that was to be logged before is on the disk."""

    work: Callable[[], None]


Work = Write | Do


@dataclass(eq=False)
class Journal:
    """Which cohorts it is of, what is due, and whether it can be written.

    `fenced`: why nothing can be logged; None when it can. `opened`: resolved when the first checkpoint is on the disk.
    `run_count`: runs begun ever; `running`: runs under way. Since the last checkpoint, whose number is `checkpoint`:
    `changed`, `ticks` (of a cohort, or Act requests), `agent_steps` (of all agents together), `log_bytes`; and when.
    """

    folder: Path
    durability: Durability
    files: LogFiles
    cohorts: "dict[str, Cohort]" = field(default_factory=dict)
    fenced: str | None = None
    opened: "Future[None]" = field(default_factory=Future)
    run_count: int = 0
    running: int = 0
    checkpoint: int = 0
    checkpoint_bytes: int = 0
    changed: bool = False
    ticks: int = 0
    agent_steps: int = 0
    log_bytes: int = 0
    tried_at: float = field(default_factory=time.monotonic)
    # One was asked for, and is not begun yet.
    asked: bool = False

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def logs(self) -> bool:
        return self.durability.level is Level.LOG

    def is_due(self, config: DurableConfig) -> bool:
        """Whether a checkpoint should be written now."""
        age = time.monotonic() - self.tried_at
        if self.asked or self.running or age < config.pause_seconds:
            return False
        if self.fenced:
            return True
        if self.logs:
            grown = self.log_bytes >= max(config.checkpoint_bytes, self.checkpoint_bytes)
            return grown or self.agent_steps >= config.checkpoint_steps
        by_steps = 0 < self.durability.every_steps <= self.ticks
        return self.changed and (by_steps or age >= self.durability.every_seconds)

    def begin_checkpoint(self) -> None:
        """From now on the next one is waited for."""
        self.asked, self.tried_at = False, time.monotonic()

    def check_open(self) -> None:
        """Raise LogUnavailable when nothing can be logged."""
        if (why := self.fenced) is not None:
            raise LogUnavailable(f"{self._who} cannot be changed now: {why}; try again in a moment")

    def fence(self, why: str) -> None:
        """From now on nothing is logged: it would stand behind a gap."""
        self.fenced = why

    def commit(self, work: Sequence[Work]) -> None:
        """Log and do, in order; on the disk on return. Raises OSError, and then some of it may be on the disk."""
        entries: list[bytes] = []
        room = MAX_FRAME_BYTES
        for item in work:
            if isinstance(item, Write):
                entries.append(item.entry().SerializeToString())
                room -= len(entries[-1])
            if isinstance(item, Do) or room < 0:
                self._flush(entries)
                room = MAX_FRAME_BYTES
            if isinstance(item, Do):
                item.work()
        self._flush(entries)

    def _flush(self, entries: list[bytes]) -> None:
        if entries:
            self.log_bytes += self.files.append(log_pb2.LogFrame(entries=entries).SerializeToString())
            entries.clear()

    @property
    def _who(self) -> str:
        return f"cohort {next(iter(self.cohorts), self.name)!r}" + (" and its forks" if len(self.cohorts) > 1 else "")
