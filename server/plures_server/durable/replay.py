"""Doing again what a log tells, with the actor and the runs that did it the first time."""

from collections.abc import Callable
from concurrent.futures import Future

from plures.v1 import log_pb2

from .. import names
from ..act import Actor
from ..act_request import ActResult
from ..engine import Engine
from ..errors import DamagedLog, PluresError
from ..horizon import policy_from
from ..rpc.act_stream import act_request
from ..rpc.convert import array_from, ordinals_from, torch_from
from ..rpc.tasks import run_request
from ..runs import CohortRun, begin, put_back
from . import entries

MOST_WAITING = 4096
"""Acts that are joined into waves where they can be."""


class Replay:
    """Entries of one log, in order. What cannot be done again raises DamagedLog.

    `run_count`: the number of the last run that was begun.
    """

    def __init__(self, engine: Engine, run_count: int) -> None:
        self.run_count = run_count
        self._pool = engine.pool
        self._steppers = engine.steppers
        self._actor = Actor(engine.pool, engine.steppers, enforcing=False)
        self._acting: list[tuple[Future[ActResult], int]] = []
        self._runs: dict[int, tuple[CohortRun, log_pb2.LoggedTicks]] = {}
        self._do: dict[str, Callable[[log_pb2.LogEntry], None]] = {
            "act": self._act,
            "fork": self._fork,
            "retire": self._retire,
            "run": self._run,
            "ticks": self._ticks,
            "states": self._states,
        }

    def do(self, entry: log_pb2.LogEntry) -> None:
        """Do again what an entry tells; acts that follow each other may wait for more."""
        kind = entry.WhichOneof("entry")
        if kind not in self._do:
            raise DamagedLog("an entry is of a kind that this version does not know; use the version that wrote it")
        if kind != "act" or len(self._acting) >= MOST_WAITING:
            self._finish_acts()
        try:
            self._do[kind](entry)
        except PluresError as error:
            raise DamagedLog(f"what it tells cannot be done again: {error}") from error

    def finish(self) -> list[log_pb2.LogEntry]:
        """Do what waits; runs that were under way end where they were last acknowledged, which is to be logged."""
        self._finish_acts()
        for begun, ticks in self._runs.values():
            self._end(begun, ticks)
        return [
            entries.ticks(number, ticks.tick, True, ticks.actions_crc32) for number, (_, ticks) in self._runs.items()
        ]

    def _act(self, entry: log_pb2.LogEntry) -> None:
        request = act_request(entry.act.request)
        self._actor.waiting.append(request)
        self._acting.append((request.future, entry.act.actions_crc32))

    def _finish_acts(self) -> None:
        while self._actor.waiting:
            self._actor.step()
        acting, self._acting = self._acting, []
        for future, checksum in acting:
            try:
                action = future.result().action
            except PluresError as error:
                raise DamagedLog(f"a step cannot be made again: {error}") from error
            _check(entries.checksum(action), checksum)

    def _fork(self, entry: log_pb2.LogEntry) -> None:
        request, source = entry.fork, names.parse(entry.fork.name, "cohorts")
        ordinals, policy = ordinals_from(request.ordinals), policy_from(request.horizon_policy)
        self._pool.fork(source, ordinals, request.copies, request.cohort_id, request.seed, horizon_policy=policy)

    def _retire(self, entry: log_pb2.LogEntry) -> None:
        self._pool.retire(names.parse(entry.retire.name, "cohorts"), ordinals_from(entry.retire.ordinals))

    def _run(self, entry: log_pb2.LogEntry) -> None:
        request, self.run_count = run_request(entry.run.request), entry.run.run
        stepper = self._steppers[self._pool.get(request.cohort).student.name]
        self._runs[self.run_count] = begin(self._pool, stepper, request), log_pb2.LoggedTicks()

    def _ticks(self, entry: log_pb2.LogEntry) -> None:
        # One that was under way at a checkpoint's time would be unknown: no checkpoint is taken then.
        begun, _ = self._runs[entry.ticks.run]
        self._runs[entry.ticks.run] = begun, entry.ticks
        if entry.ticks.ended:
            del self._runs[entry.ticks.run]
            self._end(begun, entry.ticks)

    def _end(self, begun: CohortRun, ticks: log_pb2.LoggedTicks) -> None:
        """Ticks in between need not be told apart: who runs does nothing else."""
        for _ in begun.run.go_on_to(ticks.tick):
            pass
        if ticks.tick:
            _check(entries.checksum(begun.run.wave.last_action.cpu().numpy()), ticks.actions_crc32)
        put_back(self._pool, begun)

    def _states(self, entry: log_pb2.LogEntry) -> None:
        logged = entry.states
        cohort = self._pool.get(names.parse(logged.cohort, "cohorts"))
        pages, ordinals = self._pool.pages(cohort.student), ordinals_from(logged.ordinals)
        fresh = pages.acquire(len(logged.step.data) // 8)
        pages.put(fresh, torch_from(logged.pages, "pages"))
        pages.release(cohort.page[ordinals])
        cohort.page[ordinals] = fresh
        for field in ("step", "last_action", "reward"):
            getattr(cohort, field)[ordinals] = array_from(getattr(logged, field), field)


def _check(found: int, logged: int) -> None:
    if found != logged:
        raise DamagedLog(
            "agents act otherwise than when it was written: this machine, or this version, computes otherwise; "
            "recover on a machine of the kind that wrote it"
        )
