"""Horizons: what becomes of agents that have lived longer than their student was shown to be faithful for."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from plures_students.model import NO_ACTION

from .errors import InvalidArgument
from .pages import NEWBORN

if TYPE_CHECKING:
    from .cohort import Cohort, Ordinals
    from .pool import Pool


class HorizonPolicy(IntEnum):
    """By the wire's numbers; `HorizonPolicy` in agent.proto says what each does."""

    IGNORE = 1
    WARN = 2
    RETIRE = 3
    REANCHOR = 4


def policy_from(number: int) -> HorizonPolicy | None:
    """The policy of that number on the wire, None when none is said; raise InvalidArgument for one there is not."""
    if number == 0:
        return None
    try:
        return HorizonPolicy(number)
    except ValueError:
        known = ", ".join(f"{policy.value} ({policy.name})" for policy in HorizonPolicy)
        raise InvalidArgument(f"there is no horizon_policy {number}; there are {known}") from None


def beyond(cohort: Cohort, ordinals: Ordinals) -> Ordinals:
    """Those of the agents that are at the horizon or beyond, as far as the cohort's policy cares."""
    horizon = cohort.student.horizon
    if horizon == 0 or cohort.horizon_policy is HorizonPolicy.IGNORE:
        return ordinals[:0]
    return ordinals[cohort.step[ordinals] >= horizon]


def enforce(pool: Pool, cohort: Cohort, ordinals: Ordinals) -> int:
    """Do by the cohort's policy to idle agents that are beyond, and say how many were. In the engine's thread."""
    found = beyond(cohort, ordinals)
    if len(found):
        _ENFORCERS[cohort.horizon_policy](pool, cohort, found)
    return len(found)


def _warn(pool: Pool, cohort: Cohort, ordinals: Ordinals) -> None:
    """Who asked for the step is told by its answer."""


def _retire(pool: Pool, cohort: Cohort, ordinals: Ordinals) -> None:
    pool.retire(cohort.name, ordinals)


def _reanchor(pool: Pool, cohort: Cohort, ordinals: Ordinals) -> None:
    pages, ancestry = pool.pages(cohort.student), pool.ancestry(cohort.student)
    pages.release(cohort.page[ordinals])
    ancestry.leave(cohort.anchor[ordinals])
    cohort.anchor[ordinals] = ancestry.bear(len(ordinals))
    cohort.page[ordinals] = NEWBORN
    pages.retain(np.full(len(ordinals), NEWBORN, np.int32))
    cohort.step[ordinals] = 0
    cohort.last_action[ordinals] = NO_ACTION
    cohort.reward[ordinals] = 0
    pool.journals.became(cohort, ordinals, pages)


_ENFORCERS: dict[HorizonPolicy, Callable[[Pool, Cohort, Ordinals], None]] = {
    HorizonPolicy.WARN: _warn,
    HorizonPolicy.RETIRE: _retire,
    HorizonPolicy.REANCHOR: _reanchor,
}
