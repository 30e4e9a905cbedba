"""The keeper: a thread that writes the checkpoints, in the background, while agents go on stepping."""

import contextlib
import logging
import queue
import threading
from functools import partial

from ..engine import Engine
from ..errors import EngineStopped, LogUnavailable
from ..pool import Pool
from . import checkpoints
from .committer import disk_error, opening_failure
from .folders import remove_folder
from .journal import OPENING, Journal
from .moment import take_moment

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""How often it looks which journals are due by the clock."""


class Keeper:
    """Start it after its engine, stop it before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._journals = engine.journals
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write the last snapshots of cohorts that are to have them, and return."""
        self._journals.due.put(None)
        self._thread.join()

    def _work(self) -> None:
        with contextlib.suppress(EngineStopped):
            while (asked := self._asked()) is not None:
                for journal in asked:
                    self._keep(journal)
            for journal in self._journals.all():
                if journal.changed and not journal.logs:
                    self._keep(journal)

    def _asked(self) -> list[Journal] | None:
        """The journals of which a checkpoint is to be written; None at the end."""
        try:
            journal = self._journals.due.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            return [journal for journal in self._journals.all() if journal.is_due(self._journals.config)]
        return None if journal is None else [journal]

    def _keep(self, journal: Journal) -> None:
        try:
            self._write(journal)
        except EngineStopped:
            raise
        except Exception as error:
            # One whose last cohort was retired meanwhile is gone.
            if journal.cohorts:
                expected = disk_error(error) or isinstance(error, LogUnavailable)
                log.error("no checkpoint of %s could be written: %s", journal.name, error, exc_info=not expected)
            if journal.fenced == OPENING:
                # Before anyone is told that there is no such cohort: a restart shall not find it.
                _remove(journal)
            self._engine.ask(partial(_failed, journal=journal, error=error)).result()

    def _write(self, journal: Journal) -> None:
        moment = self._engine.ask(lambda pool: take_moment(pool, journal)).result()
        if moment is None:
            return
        try:
            spot = moment.spot.result()
            moment.family.next_frame = spot.frame
            journal.checkpoint_bytes = checkpoints.write(journal.folder, spot.segment, moment.family, moment.frozen)
        finally:
            self._engine.ask(lambda pool: moment.let_go()).result()
        journal.checkpoint = spot.segment
        checkpoints.forget_before(journal.folder, spot.segment)
        self._engine.ask(lambda pool: _unfence(journal)).result()


def _remove(journal: Journal) -> None:
    try:
        remove_folder(journal.folder)
    except FileNotFoundError:
        return
    except OSError as error:
        log.error("%s could not be removed, and a restart may find its cohorts: %s", journal.folder, error)


def _unfence(journal: Journal) -> None:
    """The log is as good as new, unless what it could not take has gone on since the checkpoint was begun."""
    if journal.fenced is not None and not journal.changed:
        journal.fenced = None
        if not journal.opened.done():
            journal.opened.set_result(None)


def _failed(pool: Pool, journal: Journal, error: Exception) -> None:
    """It is still due; cohorts whose first checkpoint it was are not to be."""
    journal.changed = True
    if journal.fenced == OPENING:
        names = list(journal.cohorts)
        pool.journals.forget(journal)
        for name in names:
            pool.retire(name, None)
        journal.opened.set_exception(opening_failure(error))
