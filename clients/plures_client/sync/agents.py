"""The blocking face of some agents of a cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..aio.agents import Which, chosen, new_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from ..aio.acting import Seen
    from ..aio.becoming import Became, OnProgress
    from ..durability import DurabilityLike
    from ..horizon import HorizonPolicy
    from ..life import Life
    from ..lineage import Lineage
    from ..records import SnapshotInfo
    from ..results import ActResult
    from .cohort import Cohort
    from .streams import Run


class Agents:
    """Some agents; the blocking twin of `AsyncAgents`."""

    def __init__(self, cohort: Cohort, which: Which) -> None:
        self.cohort = cohort
        self.ordinals = chosen(which)

    def __repr__(self) -> str:
        return f"<agents {self.ordinals} of {self.cohort!r}>"

    def act(self, *, want_log_probs: bool = False, want_steps: bool = False, **seen: Unpack[Seen]) -> ActResult:
        return self.cohort.act(self.ordinals, want_log_probs=want_log_probs, want_steps=want_steps, **seen)

    def run(
        self,
        task: str,
        parameters: Mapping[str, ArrayLike] | ArrayLike,
        *,
        steps: int | NDArray[np.integer],
        seed: int = 0,
        record: int = 0,
    ) -> Run:
        return self.cohort.run(task, parameters, steps=steps, seed=seed, record=record, ordinals=self.ordinals)

    def fork(
        self,
        copies: int = 1,
        *,
        name: str | None = None,
        seed: int = 0,
        durability: DurabilityLike = None,
        horizon_policy: HorizonPolicy | None = None,
    ) -> Cohort:
        return self.cohort.fork(
            name or new_name(self.cohort.name),
            self.ordinals,
            copies=copies,
            seed=seed,
            durability=durability,
            horizon_policy=horizon_policy,
        )

    def merge(
        self, *, name: str | None = None, weights: Sequence[float] | None = None, copies: int = 1, seed: int = 0
    ) -> Cohort:
        name = name or new_name(self.cohort.name)
        return self.cohort.merge(name, self.ordinals, weights=weights, copies=copies, seed=seed)

    def become(self, lives: Life | Sequence[Life], *, on_progress: OnProgress | None = None) -> Became:
        return self.cohort.become(lives, self.ordinals, on_progress=on_progress)

    def lineage(self) -> Lineage:
        return self.cohort.lineage(self.ordinals)

    def snapshot(self, name: str, *, on_progress: OnProgress | None = None) -> SnapshotInfo:
        return self.cohort.snapshot(name, self.ordinals, on_progress=on_progress)

    def retire(self) -> int:
        return self.cohort.retire(self.ordinals)
