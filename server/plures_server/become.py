"""Becoming: recorded lives are replayed into forks of agents, which the agents then become, all or none of them.

Shapes: T steps, B agents, A actions.
"""

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray

from .act_request import MAX_AGENTS
from .cohort import Cohort, Ordinals
from .errors import InvalidArgument
from .life import LifeChunk, Steps, checked
from .lineage import Event, Kind
from .pool import Pool
from .replay import Replay
from .stepper import Stepper

LogProbs = NDArray[np.float32]
KEPT = ("page", "step", "last_action", "reward")
"""What an agent has from the fork that it becomes."""


class Becoming:
    """Agents that live recorded lives. They are busy until `keep` or `drop`, and as they were until `keep`."""

    def __init__(self, pool: Pool, stepper: Stepper, cohort: Cohort, ordinals: Ordinals) -> None:
        self.agent_steps = 0
        self._pool = pool
        self._stepper = stepper
        self._cohort = cohort
        self._ordinals = ordinals
        self._pages = pool.pages(cohort.student)
        self._forks = cohort.fork(ordinals, 1, cohort.name, cohort.seed)
        self._pages.retain(self._forks.page)
        self._living = False
        cohort.busy[ordinals] = True

    @classmethod
    def begin(cls, pool: Pool, steppers: dict[str, Stepper], name: str, ordinals: Ordinals | None) -> "Becoming":
        """Take some agents of a cohort; what is refused changes nothing."""
        cohort = pool.get(name)
        chosen = pool.select(cohort, ordinals)
        if len(chosen) > MAX_AGENTS:
            raise InvalidArgument(f"{len(chosen):,} agents of one stream; at most {MAX_AGENTS:,} go in one")
        return cls(pool, steppers[cohort.student.name], cohort, chosen)

    def live(self, chunk: LifeChunk, want_log_probs: bool) -> Generator[None, None, LogProbs | None]:
        """Replay a chunk; the log-probability of each action [T, B] when wanted. Raises InvalidArgument."""
        places = self._places(chunk.ordinals)
        lived = self._forks.step[places] - self._cohort.step[self._ordinals[places]]
        expected = torch.from_numpy(self._forks.reward[places])
        steps = checked(chunk, self._cohort.student.config, self._ordinals[places], lived, expected)
        self._living = True
        try:
            return (yield from self._live(places, steps, want_log_probs))
        finally:
            self._living = False

    def keep(self) -> None:
        """Let the agents become what their forks are."""
        cohort, forks, chosen = self._cohort, self._forks, self._ordinals
        self._record()
        self._pages.release(cohort.page[chosen])
        for field in KEPT:
            getattr(cohort, field)[chosen] = getattr(forks, field)
        cohort.busy[chosen] = False
        self._pool.journals.became(cohort, chosen, self._pages)

    def drop(self) -> Generator[None, None, None]:
        """Leave the agents as they were, once nothing is being replayed."""
        while self._living:
            yield
        self.leave()

    def leave(self) -> None:
        """Leave the agents as they were; nothing may be being replayed."""
        self._pages.release(self._forks.page)
        self._cohort.busy[self._ordinals] = False

    def _live(self, places: Ordinals, steps: Steps, want_log_probs: bool) -> Generator[None, None, LogProbs | None]:
        forks = self._forks
        turnover = self._pages.turn_over(forks.page[places], keep=True)
        replay = Replay(self._stepper, forks, places, turnover, steps, want_log_probs)
        try:
            yield from replay.run()
        finally:
            forks.page[places] = self._pages.settle(replay.states, replay.written)
        forks.step[places] += len(steps)
        forks.last_action[places] = steps.action[-1].numpy()
        forks.reward[places] = steps.last_reward.numpy()
        self.agent_steps += steps.action.numel()
        return replay.log_prob_TB.cpu().numpy() if want_log_probs else None

    def _places(self, ordinals: Ordinals | None) -> Ordinals:
        """Where some of the agents stand among those that the stream began with."""
        if ordinals is None:
            return np.arange(len(self._ordinals))
        if len(ordinals) == 0 or len(np.unique(ordinals)) < len(ordinals):
            raise InvalidArgument("a chunk names no agent, or one more than once")
        order = np.argsort(self._ordinals)
        places: Ordinals = order[np.searchsorted(self._ordinals, ordinals, sorter=order).clip(max=len(order) - 1)]
        if (others := self._ordinals[places] != ordinals).any():
            raise InvalidArgument(f"agent {ordinals[others][0]} is not one of those that the stream began with")
        return places

    def _record(self) -> None:
        before = self._cohort.step[self._ordinals]
        steps = self._forks.step - before
        who = np.argsort(self._ordinals)
        who = who[steps[who] > 0]
        if len(who):
            event = Event(
                next(self._pool.event_numbers),
                Kind.BECOME,
                before[who],
                ordinals=self._ordinals[who].astype(np.uint32),
                steps=steps[who],
            )
            self._cohort.lineage.events.append(event)
