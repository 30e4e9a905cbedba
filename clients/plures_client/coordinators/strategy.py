"""What all strategies have in common: who works, what becomes of what they learn, who is told, where it is noted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import ordinals as wire_ordinals
from ..aio.cohort import AsyncCohort
from ..aio.queue import Keep
from ..errors import InvalidArgument
from ..items import Items
from ..ordinals import OrdinalsLike
from .generations import Generations
from .progress import Report, quietly
from .workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class Team:
    """Agents of the cohort, all or those named; `report` is told how far they are.

    `manifest`: a file that outlives a coordinator which dies; with it, another process that is given the same problem
    and settings goes on. It is gone when the work is over.
    """

    ordinals: OrdinalsLike = None
    report: Report = quietly
    manifest: Path | str | None = None

    async def copies(self, cohort: AsyncCohort) -> int:
        """How many agents work."""
        named = wire_ordinals.count(self.ordinals)
        return (await cohort.describe()).alive if named is None else named


@dataclass(frozen=True, kw_only=True)
class Queued(Team):
    """A strategy whose items go over a queue, to whichever copy is free. `keep`: as `AsyncQueue.attach` says."""

    keep: Keep = "nothing"

    def workshop(self, cohort: AsyncCohort) -> Workshop:
        return Workshop(cohort, keep=self.keep, ordinals=self.ordinals, report=self.report, manifest=self.manifest)


@dataclass(frozen=True, kw_only=True)
class Generational(Team):
    """A strategy of rounds, in which each copy has an item of its own, and keeps what it learns.

    Descendants work, who are gone at the end: the cohort's own agents stay as they are.
    """

    async def generations(self, cohort: AsyncCohort, items: int) -> Generations:
        """Of the first agents, as many as items; raise InvalidArgument when there are fewer."""
        alive = await cohort.alive() if self.ordinals is None else wire_ordinals.listed(self.ordinals)
        if not 1 <= items <= len(alive):
            raise InvalidArgument(f"{items} items for {len(alive)} copies; there is one item a copy, and at least one")
        return Generations(cohort, ordinals=alive[:items], report=self.report, manifest=self.manifest)


def at_least(what: str, number: float, least: float) -> None:
    """Raise InvalidArgument when a setting is too small."""
    if not number >= least:
        raise InvalidArgument(f"{what} {number} given; it is at least {least:g}")


def one_an_item(what: str, values: NDArray[np.generic], items: int) -> None:
    """Raise InvalidArgument unless a problem told one value an item."""
    if np.shape(values) != (items,):
        raise InvalidArgument(f"the problem's {what} has shape {np.shape(values)}; one an item, [{items}], is wanted")


def as_many(items: Items, count: int) -> None:
    """Raise InvalidArgument unless a problem goes on with as many items."""
    if len(items) != count:
        raise InvalidArgument(f"the problem goes on with {len(items)} items after {count}; one for each is wanted")
