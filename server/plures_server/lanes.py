"""Lanes: the agents of an attached cohort, each with a fork that does the items, so that work can be thrown away.

L lanes, N items of a batch (at most L), P parameters, M summary columns.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from plures_kernels import counter

from .cohort import Cohort, Ordinals
from .engine import Engine
from .horizon import enforce
from .pool import Pool
from .queue.items import ItemBatch
from .run import Progress
from .runs import CohortRun, checked_parameters, put_back, run_to_end, take
from .stepper import Stepper
from .tasks import Asks, Watched, get_task, task_for, tasks_for
from .wave import agent_seeds

AGENT_STREAM = 2
"""Randomness of a fork that keeps nothing: the item's, so that an item's result is a function of copy and item."""


def check_items(items: ItemBatch) -> None:
    """Raise UnknownTask, or InvalidArgument when the parameters of some item make no environment of its task."""
    checked_parameters(get_task(items.task), torch.tensor(items.parameters_NP), len(items))


class NobodyWaits(Exception):
    """What is being done will not count: it was cancelled, or others do it."""


@dataclass(frozen=True)
class Done:
    """What came of a batch: summaries float32 [N, M], and what its copies ask of others."""

    summary_NM: NDArray[np.float32]
    asks: Asks | None


class Lanes:
    """The attached agents and their forks. With keep_learning a fork goes on from item to item until it is kept."""

    def __init__(self, pool: Pool, stepper: Stepper, cohort: Cohort, ordinals: Ordinals, keep_learning: bool) -> None:
        self.cohort = cohort
        self.ordinals = ordinals
        self.keep_learning = keep_learning
        self._pool = pool
        self._stepper = stepper
        self._pages = pool.pages(cohort.student)
        self._forks: Cohort | None = None

    def __len__(self) -> int:
        return len(self.ordinals)

    @property
    def kinds(self) -> Sequence[str]:
        """The tasks in which one perceives and acts as the lanes' student does."""
        return tasks_for(self.cohort.student)

    async def do(
        self, engine: Engine, items: ItemBatch, lane_N: NDArray[np.int64], is_wanted: Callable[[], bool]
    ) -> Done:
        """Do a batch of checked items, most steps first, each on a lane of its own.

        Raises NobodyWaits when they are not wanted any more; the lanes have then gone part of the way.
        """
        begun = await engine.borrow(lambda pool: self._begin(items, lane_N), put_back)
        async with aclosing(run_to_end(engine, begun)) as slices:
            await _exhaust(slices, is_wanted)
        if not self.keep_learning:
            await engine.give_back(lambda pool: self.drop())
        summary: NDArray[np.float32] = begun.run.episode.summary().cpu().numpy()
        assert isinstance(begun.run.episode, Watched)
        return Done(summary, begun.run.episode.asks())

    def keep(self, lanes: NDArray[np.bool_]) -> None:
        """Let the agents of these lanes become their forks, and drop the others' [L]."""
        if self._forks is None:
            return
        kept, cohort, forks = self.ordinals[lanes], self.cohort, self._forks
        self._pages.release(cohort.page[kept])
        for field in ("page", "step", "last_action", "reward"):
            getattr(cohort, field)[kept] = getattr(forks, field)[lanes]
        self._pages.release(forks.page[~lanes])
        self._forks = None
        self._pool.journals.became(cohort, kept, self._pages)

    def restart(self, lanes: NDArray[np.bool_]) -> None:
        """Let the forks on these lanes [L] be again as their agents are."""
        if self._forks is None:
            return
        self._pages.release(self._forks.page[lanes])
        for field in ("page", "step", "last_action", "reward"):
            getattr(self._forks, field)[lanes] = getattr(self.cohort, field)[self.ordinals[lanes]]
        self._pages.retain(self._forks.page[lanes])

    def drop(self) -> None:
        """Throw away what the forks have become."""
        self.keep(np.zeros(len(self), np.bool_))

    def leave(self) -> None:
        """The agents are free again."""
        self.drop()
        self.cohort.busy[self.ordinals] = False
        if self._pool.has(self.cohort):
            enforce(self._pool, self.cohort, self.ordinals)

    def _begin(self, items: ItemBatch, lane_N: NDArray[np.int64]) -> CohortRun:
        task, device, count = task_for(self.cohort.student, items.task), self._pool.device, len(items)
        parameters = checked_parameters(task, torch.tensor(items.parameters_NP), count)
        item_seed_N = torch.from_numpy(items.seed_N.view(np.int64).copy()).to(device)
        steps_N = items.steps_N.astype(np.int64)
        episode = Watched(items.task, task, parameters, item_seed_N, steps_N)
        begun = take(self._pool, self._stepper, self._forked(), lane_N, episode, steps_N)
        # The lane's own seed would be the fork's; the agent's choices come from the agent's, or from the item's alone.
        own_seed_N = agent_seeds(self.cohort.seed, self.cohort.number[self.ordinals[lane_N]], device)
        begun.run.wave.seed = own_seed_N if self.keep_learning else counter.bits(item_seed_N, 0, AGENT_STREAM)
        return begun

    def _forked(self) -> Cohort:
        if self._forks is None:
            self._forks = self.cohort.fork(self.ordinals, 1, self.cohort.name, self.cohort.seed)
            self._pages.retain(self._forks.page)
        return self._forks


async def _exhaust(slices: AsyncGenerator[Progress, None], is_wanted: Callable[[], bool]) -> None:
    async for _ in slices:
        if not is_wanted():
            raise NobodyWaits
