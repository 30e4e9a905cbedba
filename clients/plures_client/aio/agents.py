"""Some agents of a cohort as a thing of their own: `cohort[7]`, `cohort[10:20]`, `cohort[[1, 5, 9]]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..durability import DurabilityLike
    from ..horizon import HorizonPolicy
    from ..life import Life
    from ..lineage import Lineage
    from ..ordinals import OrdinalsLike
    from ..records import SnapshotInfo
    from ..results import ActResult
    from .acting import Seen
    from .becoming import Became, OnProgress
    from .cohort import AsyncCohort
    from .running import AsyncRun

Which: TypeAlias = "int | slice | range | Sequence[int] | NDArray[np.integer[Any]]"
LONGEST_NAME = 63


def chosen(which: Which) -> OrdinalsLike:
    """The ordinals that stand in brackets; raise InvalidArgument for a slice without an end or one that counts back."""
    if not isinstance(which, slice):
        return which
    first, end, step = which.start or 0, which.stop, which.step or 1
    if end is None or min(first, end) < 0 or step < 1:
        raise InvalidArgument(
            "agents are named from 0 on, to an end: cohort[10:20]; the whole cohort takes no brackets, and "
            "cohort.describe().count says how many it has"
        )
    agents = range(first, end, step)
    return agents if step == 1 else list(agents)


def new_name(cohort: str) -> str:
    """A name for a cohort that comes from another."""
    tail = f"-{uuid4().hex[:8]}"
    return cohort[: LONGEST_NAME - len(tail)] + tail


class AsyncAgents:
    """Some agents; what is asked of them is asked of their cohort."""

    def __init__(self, cohort: AsyncCohort, which: Which) -> None:
        self.cohort = cohort
        self.ordinals = chosen(which)

    def __repr__(self) -> str:
        return f"<agents {self.ordinals} of {self.cohort!r}>"

    async def act(self, *, want_log_probs: bool = False, want_steps: bool = False, **seen: Unpack[Seen]) -> ActResult:
        """As `AsyncCohort.act`."""
        return await self.cohort.act(self.ordinals, want_log_probs=want_log_probs, want_steps=want_steps, **seen)

    def run(
        self,
        task: str,
        parameters: Mapping[str, ArrayLike] | ArrayLike,
        *,
        steps: int | NDArray[np.integer],
        seed: int = 0,
        record: int = 0,
    ) -> AsyncRun:
        """As `AsyncCohort.run`."""
        return self.cohort.run(task, parameters, steps=steps, seed=seed, record=record, ordinals=self.ordinals)

    async def fork(
        self,
        copies: int = 1,
        *,
        name: str | None = None,
        seed: int = 0,
        durability: DurabilityLike = None,
        horizon_policy: HorizonPolicy | None = None,
    ) -> AsyncCohort:
        """As `AsyncCohort.fork`; without a name, the new cohort has one made of this one's."""
        return await self.cohort.fork(
            name or new_name(self.cohort.name),
            self.ordinals,
            copies=copies,
            seed=seed,
            durability=durability,
            horizon_policy=horizon_policy,
        )

    async def merge(
        self, *, name: str | None = None, weights: Sequence[float] | None = None, copies: int = 1, seed: int = 0
    ) -> AsyncCohort:
        """As `AsyncCohort.merge`; without a name, the new cohort has one made of this one's."""
        name = name or new_name(self.cohort.name)
        return await self.cohort.merge(name, self.ordinals, weights=weights, copies=copies, seed=seed)

    async def become(self, lives: Life | Sequence[Life], *, on_progress: OnProgress | None = None) -> Became:
        """As `AsyncCohort.become`."""
        return await self.cohort.become(lives, self.ordinals, on_progress=on_progress)

    async def lineage(self) -> Lineage:
        """As `AsyncCohort.lineage`."""
        return await self.cohort.lineage(self.ordinals)

    async def snapshot(self, name: str, *, on_progress: OnProgress | None = None) -> SnapshotInfo:
        """As `AsyncCohort.snapshot`."""
        return await self.cohort.snapshot(name, self.ordinals, on_progress=on_progress)

    async def retire(self) -> int:
        """As `AsyncCohort.retire`."""
        return await self.cohort.retire(self.ordinals)
