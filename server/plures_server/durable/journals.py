"""The journals of all durable cohorts: what the engine's thread tells them, and answers that wait for the disk."""

import queue
from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import InvalidArgument
from ..futures import answer
from . import entries
from .committer import Committer, Unit
from .folders import remove_folder
from .journal import OPENING, Do, Journal, Work, Write
from .log_files import LogFiles, Spot
from .policy import Durability, DurableConfig, Level

if TYPE_CHECKING:
    from plures.v1 import log_pb2

    from ..act_request import ActRequest, ActResult
    from ..cohort import Cohort, Ordinals
    from ..pages import Pages
    from ..runs import CohortRun, RunRequest

T = TypeVar("T")

STATES_BYTES = 16 << 20
"""States of agents in one entry."""


class Journals:
    """Owned by the engine's thread, which tells what it did; a cohort without a journal ends with the server.

    An answer given here leaves when everything that was logged for it, and before it, is on the disk.
    """

    def __init__(self, folder: Path | None = None, config: DurableConfig | None = None) -> None:
        """`folder`: where journals are; without one, cohorts cannot be durable."""
        self.folder = folder
        self.config = config or DurableConfig()
        self.committer = Committer()
        # Journals of which a checkpoint is wanted at once.
        self.due: queue.SimpleQueue[Journal | None] = queue.SimpleQueue()
        self._journals: dict[str, Journal] = {}
        # Never used twice: an old folder of that name may be about to be removed.
        self._numbers = count(1)
        self._logged: list[tuple[Journal, Work]] = []
        self._opening: Journal | None = None

    def all(self) -> list[Journal]:
        return list(self._journals.values())

    def check(self, durability: Durability | None) -> None:
        """Raise InvalidArgument when cohorts cannot have that durability here."""
        if durability is not None and durability.level is not Level.NONE and self.folder is None:
            raise InvalidArgument(f"this server keeps no data, so durability {durability.level} is not to be had")

    def open(self, cohort: "Cohort", durability: Durability) -> None:
        """Give a cohort a journal of its own, unless it shall end with the server. It begins with a checkpoint."""
        if durability.level is Level.NONE:
            return
        assert self.folder is not None
        folder = self.folder / f"{cohort.name}.{next(self._numbers)}"
        files = LogFiles(folder, Spot(segment=1, frame=1), self.config.segment_bytes)
        self._opening = Journal(folder, durability, files, {cohort.name: cohort}, fenced=OPENING)
        self.adopt(self._opening)
        self._ask(self._opening)

    def number_from(self, number: int) -> None:
        """Journals that are begun from now on have such numbers in their names."""
        self._numbers = count(number)

    def adopt(self, journal: Journal) -> None:
        """Take in a journal and its cohorts."""
        self._journals[journal.name] = journal
        for cohort in journal.cohorts.values():
            cohort.journal = journal

    def forget(self, journal: Journal) -> None:
        """The cohorts of a journal that could not be opened shall not be durable after all."""
        del self._journals[journal.name]
        for cohort in journal.cohorts.values():
            cohort.journal = None

    def forked(
        self, source: "Cohort", ordinals: "Ordinals | None", copies: int, fork: "Cohort", durability: Durability | None
    ) -> None:
        """A cohort was forked; without a durability of its own the fork has its source's."""
        journal = source.journal
        inherited = Durability() if journal is None else journal.durability
        if journal is not None and journal.logs and durability in (None, inherited):
            journal.cohorts[fork.name] = fork
            fork.journal = journal
            self._log(journal, partial(entries.fork, source.name, ordinals, copies, fork))
        else:
            self.open(fork, durability or inherited)

    def retired(self, cohort: "Cohort", ordinals: "Ordinals | None") -> None:
        """Agents were ended; with its last cohort a journal goes."""
        if (journal := cohort.journal) is None:
            return
        self._log(journal, partial(entries.retire, cohort.name, ordinals))
        if not cohort.alive.any():
            del journal.cohorts[cohort.name]
        if not journal.cohorts:
            del self._journals[journal.name]
            self._logged += [(journal, Do(journal.files.close)), (journal, Do(partial(remove_folder, journal.folder)))]

    def acted(self, cohort: "Cohort", request: "ActRequest", result: "ActResult") -> None:
        """Agents stepped: answer when that may be."""
        if (journal := cohort.journal) is not None:
            self._log(journal, partial(entries.act, request, entries.checksum(result.action)))
            self._stepped(journal, 1, len(result.action))
        self.answer(request.future, result)

    def began(self, cohort: "Cohort", request: "RunRequest") -> int:
        """A run begins; its number in the journal, 0 without one."""
        if (journal := cohort.journal) is None:
            return 0
        journal.run_count += 1
        journal.running += 1
        self._log(journal, partial(entries.run, journal.run_count, request))
        return journal.run_count

    def ticked(self, begun: "CohortRun", ended: bool) -> None:
        """A run has come so far; when it has ended, its agents become the cohort's again."""
        run, journal = begun.run, begun.cohort.journal
        if journal is None:
            return
        journal.running -= ended
        if ended and journal.logs and not run.is_between_ticks(begun.cohort.step[begun.ordinals]):
            journal.fence("a tick of a run failed on some of its agents")
        crc = entries.checksum(run.wave.last_action.cpu().numpy()) if journal.logs else 0
        self._log(journal, partial(entries.ticks, begun.number, run.tick, ended, crc))
        self._stepped(journal, *run.take_steps())

    def became(self, cohort: "Cohort", ordinals: "Ordinals", pages: "Pages") -> None:
        """Agents have become something else, by what cannot be done again from its inputs: their states are logged."""
        if (journal := cohort.journal) is None:
            return
        journal.changed = True
        if journal.logs:
            few = max(1, STATES_BYTES // pages.page_bytes)
            for first in range(0, len(ordinals), few):
                some = ordinals[first : first + few]
                entry = entries.states(cohort, some, pages.get(cohort.page[some]))
                self._log(journal, partial(entries.as_it_is, entry))

    def recovered(self, journal: Journal, ended: "list[log_pb2.LogEntry]") -> None:
        """A journal is taken in as it was read from the disk, and in doing so runs were ended."""
        self.adopt(journal)
        for entry in ended:
            self._log(journal, partial(entries.as_it_is, entry))
        self.answer(Future(), None)

    def answer(self, future: "Future[T]", outcome: T | BaseException) -> None:
        """Resolve the future when all that was logged since the last answer is on the disk."""
        logged, self._logged = self._logged, []
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.opened.add_done_callback(lambda opened: answer(future, opened.exception() or outcome))
        elif logged:
            self.committer.submit(Unit(logged, lambda error: answer(future, error or outcome)))
        else:
            answer(future, outcome)

    def _log(self, journal: Journal, entry: "entries.Maker") -> None:
        journal.changed = True
        if journal.logs:
            self._logged.append((journal, Write(entry)))

    def _stepped(self, journal: Journal, ticks: int, agent_steps: int) -> None:
        journal.ticks += ticks
        journal.agent_steps += agent_steps
        if journal.is_due(self.config):
            self._ask(journal)

    def _ask(self, journal: Journal) -> None:
        journal.asked = True
        self.due.put(journal)
