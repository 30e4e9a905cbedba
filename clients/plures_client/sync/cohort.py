"""The blocking face of a cohort."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..aio.acting import Seen
from ..aio.agents import Which
from ..aio.becoming import Became, OnProgress
from ..aio.cohort import Answer, AsyncCohort, Problem, Strategy
from ..durability import DurabilityLike
from ..horizon import HorizonPolicy
from ..life import Life
from ..lineage import Lineage
from ..ordinals import OrdinalsLike
from ..records import CohortInfo, SnapshotInfo, TaskInfo
from ..results import ActResult, Said
from .agents import Agents
from .loop import LoopThread
from .queue import Queue
from .streams import ActStream, Run


class Cohort:
    """Agents started together; the blocking twin of `AsyncCohort`, whose methods say what each does."""

    def __init__(self, loop: LoopThread, cohort: AsyncCohort) -> None:
        self._loop, self._cohort = loop, cohort
        self.name = cohort.name

    def __repr__(self) -> str:
        return repr(self._cohort)

    def __getitem__(self, which: Which) -> Agents:
        """Some of the agents: `cohort[7]`, `cohort[10:20]`, `cohort[[1, 5, 9]]`."""
        return Agents(self, which)

    def describe(self) -> CohortInfo:
        return self._loop.run(self._cohort.describe())

    def alive(self) -> NDArray[np.int64]:
        return self._loop.run(self._cohort.alive())

    def act(
        self,
        ordinals: OrdinalsLike = None,
        *,
        want_log_probs: bool = False,
        want_steps: bool = False,
        **seen: Unpack[Seen],
    ) -> ActResult:
        return self._loop.run(self._cohort.act(ordinals, want_log_probs=want_log_probs, want_steps=want_steps, **seen))

    def act_stream(self, *, window: int = 32) -> ActStream:
        return ActStream(self._loop, self._cohort.act_stream(window=window))

    def run(
        self,
        task: str,
        parameters: Mapping[str, ArrayLike] | ArrayLike,
        *,
        steps: int | NDArray[np.integer],
        seed: int = 0,
        record: int = 0,
        ordinals: OrdinalsLike = None,
    ) -> Run:
        run = self._cohort.run(task, parameters, steps=steps, seed=seed, record=record, ordinals=ordinals)
        return Run(self._loop, run)

    def fork(
        self,
        name: str,
        ordinals: OrdinalsLike = None,
        *,
        copies: int = 1,
        seed: int = 0,
        durability: DurabilityLike = None,
        horizon_policy: HorizonPolicy | None = None,
    ) -> "Cohort":
        forking = self._cohort.fork(
            name, ordinals, copies=copies, seed=seed, durability=durability, horizon_policy=horizon_policy
        )
        return Cohort(self._loop, self._loop.run(forking))

    def merge(
        self,
        name: str,
        ordinals: OrdinalsLike = None,
        *,
        weights: Sequence[float] | None = None,
        copies: int = 1,
        seed: int = 0,
        from_newborn: bool = False,
        durability: DurabilityLike = None,
    ) -> "Cohort":
        merging = self._cohort.merge(
            name, ordinals, weights=weights, copies=copies, seed=seed, from_newborn=from_newborn, durability=durability
        )
        return Cohort(self._loop, self._loop.run(merging))

    def become(
        self,
        lives: Life | Sequence[Life],
        ordinals: OrdinalsLike = None,
        *,
        want_log_probs: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Became:
        return self._loop.run(
            self._cohort.become(lives, ordinals, want_log_probs=want_log_probs, on_progress=on_progress)
        )

    def say(
        self,
        prompt: str | Sequence[int],
        ordinals: OrdinalsLike = None,
        *,
        max_tokens: int,
        temperature: float = 1.0,
        stop_tokens: Sequence[int] = (),
    ) -> Iterator[Said]:
        saying = self._cohort.say(
            prompt, ordinals, max_tokens=max_tokens, temperature=temperature, stop_tokens=stop_tokens
        )
        try:
            yield from self._loop.iterate(saying)
        finally:
            self._loop.run(saying.aclose())

    def lineage(self, ordinals: OrdinalsLike = None) -> Lineage:
        return self._loop.run(self._cohort.lineage(ordinals))

    def snapshot(
        self, name: str, ordinals: OrdinalsLike = None, *, on_progress: OnProgress | None = None
    ) -> SnapshotInfo:
        return self._loop.run(self._cohort.snapshot(name, ordinals, on_progress=on_progress))

    def retire(self, ordinals: OrdinalsLike = None) -> int:
        return self._loop.run(self._cohort.retire(ordinals))

    def task(self, name: str) -> TaskInfo:
        return self._loop.run(self._cohort.task(name))

    def queue(self, name: str) -> Queue:
        return Queue(self._loop, self._cohort.queue(name))

    def solve(self, strategy: Strategy[Problem, Answer], problem: Problem) -> Answer:
        return self._loop.run(self._cohort.solve(strategy, problem))
