"""The committer: one thread that brings what was logged to the disk, all that waits at once, and lets answers go then.

So the engine never waits for a disk, and one flush serves as many requests as came during the one before.
"""

import errno
import logging
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import LogFull, LogUnavailable, StorageFailed
from .journal import Journal, Work

log = logging.getLogger(__name__)

Reply = Callable[[LogUnavailable | None], None]
_MOST_UNITS = 4096


@dataclass(frozen=True)
class Unit:
    """What one answer stands on: when all of it is on the disk, or could not be brought there, `reply` is told."""

    work: Sequence[tuple[Journal, Work]]
    reply: Reply


class Committer:
    """Commits units in the order in which they were submitted. What fails fences its journal, and that one alone."""

    def __init__(self) -> None:
        self._units: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="committer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, unit: Unit) -> None:
        self._units.put(unit)

    def close(self) -> None:
        """Commit what was submitted, and end the thread."""
        self._units.put(None)
        self._thread.join()

    def _work(self) -> None:
        ending = False
        while not ending:
            units, ending = self._take()
            self._commit(units)

    def _take(self) -> tuple[list[Unit], bool]:
        """All that waits, at least one; and whether it is the last."""
        units: list[Unit] = []
        wait = True
        while len(units) < _MOST_UNITS:
            try:
                unit = self._units.get(block=wait)
            except queue.Empty:
                break
            if unit is None:
                return units, True
            units.append(unit)
            wait = False
        return units, False

    def _commit(self, units: list[Unit]) -> None:
        by_journal: defaultdict[Journal, list[Work]] = defaultdict(list)
        for unit in units:
            for journal, work in unit.work:
                by_journal[journal].append(work)
        failures = {journal: failure for journal, work in by_journal.items() if (failure := _try(journal, work))}
        for unit in units:
            unit.reply(next((failures[journal] for journal, _ in unit.work if journal in failures), None))


def _try(journal: Journal, work: list[Work]) -> LogUnavailable | None:
    try:
        journal.check_open()
        journal.commit(work)
    except LogUnavailable as error:
        return error
    except Exception as error:
        expected = isinstance(error, OSError)
        log.error("the log of %s cannot be written: %s", ", ".join(journal.cohorts), error, exc_info=not expected)
        journal.fence(f"its log could not be written ({_why(error)})")
        return _kind(error)(
            f"the log could not be written ({_why(error)}), so it is open whether this outlives the server; the cohort "
            "takes no steps until a checkpoint of it could be written, which is tried again and again"
        )
    return None


def opening_failure(error: Exception) -> LogUnavailable:
    """Why a cohort was not started, in words for who asked for it."""
    return _kind(error)(f"no first checkpoint could be written ({_why(error)}), so there is no such cohort")


def disk_error(error: Exception) -> OSError | None:
    """What the disk refused, when that is what went wrong."""
    cause = error.__cause__ if isinstance(error, StorageFailed) else error
    return cause if isinstance(cause, OSError) else None


def _kind(error: Exception) -> type[LogUnavailable]:
    refused = disk_error(error)
    return LogFull if refused and refused.errno in (errno.ENOSPC, errno.EDQUOT) else LogUnavailable


def _why(error: Exception) -> str:
    refused = disk_error(error)
    return (refused and refused.strerror) or str(error)
