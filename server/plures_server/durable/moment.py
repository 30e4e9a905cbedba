"""A family at one moment: its cohorts frozen, and the spot in its log from which on the log is still needed."""

import hashlib
import json
from concurrent.futures import Future
from dataclasses import dataclass

from plures.v1 import log_pb2

from ..errors import LogUnavailable
from ..freezing import Frozen, freeze
from ..pool import Pool
from ..students import Hosted
from .committer import Committer, Unit
from .journal import OPENING, Do, Journal
from .log_files import Spot
from .policy import durability_message


@dataclass(frozen=True)
class Moment:
    """`spot` is resolved by the thread that writes the log, when it has come there."""

    frozen: dict[str, Frozen]
    family: log_pb2.LogCheckpoint
    spot: "Future[Spot]"

    def let_go(self) -> None:
        for cohort in self.frozen.values():
            cohort.let_go()


def take_moment(pool: Pool, journal: Journal) -> Moment | None:
    """In the engine's thread: the family as it is now; None when a run is under way, or no cohort is left.

    What it counted since the last checkpoint counts from here on anew.
    """
    journal.begin_checkpoint()
    if journal.running or not journal.cohorts:
        return None
    journal.changed, journal.ticks, journal.agent_steps, journal.log_bytes = False, 0, 0, 0
    family = log_pb2.LogCheckpoint(durability=durability_message(journal.durability), run_count=journal.run_count)
    for name, cohort in journal.cohorts.items():
        family.cohorts.add(
            name=name,
            parent=cohort.parent,
            config_digest=config_digest(cohort.student),
            horizon_policy=cohort.horizon_policy.value,
        )
    frozen = {name: freeze(pool, cohort) for name, cohort in journal.cohorts.items()}
    return Moment(frozen, family, _spot(pool.journals.committer, journal))


def config_digest(student: Hosted) -> str:
    """SHA-256 of what a student is besides its weights."""
    return hashlib.sha256(json.dumps(student.config.to_json(), sort_keys=True).encode()).hexdigest()


def _spot(committer: Committer, journal: Journal) -> "Future[Spot]":
    spot: Future[Spot] = Future()
    if journal.logs and journal.fenced is None:
        roll = Do(lambda: spot.set_result(journal.files.roll()))

        def reply(error: LogUnavailable | None) -> None:
            # What failed may have stood behind the spot, and was to be committed together with it.
            if error is not None and not spot.done():
                spot.set_exception(error)

        committer.submit(Unit([(journal, roll)], reply))
    else:
        # In its turn: what was done before is on the disk then, or has failed.
        committer.submit(Unit([], lambda _: spot.set_result(_spot_of_rest(journal))))
    return spot


def _spot_of_rest(journal: Journal) -> Spot:
    if journal.logs and journal.fenced != OPENING:
        return journal.files.roll()
    return Spot(journal.checkpoint + 1, 1)
