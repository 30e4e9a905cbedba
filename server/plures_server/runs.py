"""Runs on a cohort's agents: taking the agents out of the pool, and putting them back as they have become."""

from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .cohort import Cohort, Ordinals
from .engine import Engine
from .errors import InvalidArgument
from .horizon import enforce
from .pool import Pool
from .run import Progress, Run
from .stepper import Stepper
from .tasks import Episode, Task, Watched, task_for
from .to_its_end import to_its_end
from .wave import agent_seeds, wave_of

SLICE_SECONDS = 0.1
"""How long a run goes on before it reports."""
MAX_RECORDED = 1 << 20
"""Agents whose steps are recorded: a tick of theirs fits in a message."""


@dataclass(frozen=True)
class RunRequest:
    """A task for some agents of a cohort.

    parameters: float32 [1 or agents, P]. steps: for all alike, or for each [agents], not increasing. record: agents
    to record.
    """

    cohort: str
    ordinals: Ordinals | None
    task: str
    parameters: Tensor
    steps: int | NDArray[np.int64]
    seed: int
    record: int = 0


@dataclass(frozen=True)
class CohortRun:
    """A run and the agents it moves, which are busy until it is finished."""

    run: Run
    cohort: Cohort
    ordinals: Ordinals
    # In the cohort's journal; 0 when the run is not logged.
    number: int = 0

    def advance(self, pool: Pool, seconds: float) -> Generator[None, None, Progress]:
        """As `Run.advance`; what is reported is on the disk first, when the cohort is logged."""
        before = self.run.agent_steps, self.run.tick
        progress = yield from self.run.advance(seconds)
        pool.steps.agent_steps += self.run.agent_steps - before[0]
        pool.steps.waves += self.run.tick - before[1]
        pool.journals.ticked(self, ended=False)
        return progress

    def finish(self, pool: Pool) -> Generator[None, None, None]:
        """Put the agents back, once the run is between ticks."""
        while self.run.advancing:
            yield
        put_back(pool, self)
        if pool.has(self.cohort):
            self.run.beyond = enforce(pool, self.cohort, self.ordinals)


def begin(pool: Pool, stepper: Stepper, request: RunRequest) -> CohortRun:
    """Check everything, take the agents, and make the run ready; what is refused changes nothing."""
    cohort = pool.get(request.cohort)
    task = task_for(cohort.student, request.task)
    ordinals = pool.select(cohort, request.ordinals)
    if request.record > min(len(ordinals), MAX_RECORDED):
        raise InvalidArgument(
            f"{request.record:,} agents to record, but {len(ordinals):,} selected; at most {MAX_RECORDED:,} can be"
        )
    parameters = checked_parameters(task, request.parameters, len(ordinals))
    steps = checked_steps(request.steps, len(ordinals))
    seeds = agent_seeds(request.seed, ordinals, pool.device)
    episode = Watched(request.task, task, parameters, seeds, steps)
    begun = take(pool, stepper, cohort, ordinals, episode, steps)
    begun.run.recorded = request.record
    return replace(begun, number=pool.journals.began(cohort, request))


def checked_steps(steps: int | NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Steps of each of `count` agents; raise InvalidArgument when some make none or more than the one before."""
    each = np.full(count, steps, np.int64) if isinstance(steps, int) else steps
    if len(each) != count:
        raise InvalidArgument(f"steps of {len(each)} agents are given, but {count} are selected")
    if each.min() < 1:
        raise InvalidArgument("an agent has 0 steps to make; a run has at least 1")
    if (each[1:] > each[:-1]).any():
        raise InvalidArgument("steps increase along the selection; list the agents with most steps first")
    return each


def checked_parameters(task: Task, parameters: Tensor, count: int) -> Tensor:
    """Parameters as float32 [count, P]; raise InvalidArgument unless they fit the task."""
    wanted = len(task.parameter_names)
    if parameters.dtype != torch.float32 or parameters.ndim != 2 or parameters.shape[1] != wanted:
        names = ", ".join(task.parameter_names)
        raise InvalidArgument(
            f"parameters must be FLOAT32 [agents or 1, {wanted}] ({names}), not {parameters.dtype} "
            f"{list(parameters.shape)}"
        )
    if len(parameters) not in (1, count):
        raise InvalidArgument(f"{len(parameters)} rows of parameters for {count} agents; send 1 row or {count}")
    task.check(parameters)
    return parameters.expand(count, wanted)


def take(
    pool: Pool,
    stepper: Stepper,
    cohort: Cohort,
    ordinals: Ordinals,
    episode: Episode,
    steps: NDArray[np.int64],
) -> CohortRun:
    """A run of checked parts; `steps` must not increase along the agents."""
    pages, device = pool.pages(cohort.student), pool.device
    turnover = pages.turn_over(cohort.page[ordinals])
    cohort.busy[ordinals] = True
    cohort.page[ordinals] = turnover.write
    wave = wave_of(cohort, ordinals, device)
    if stepper.most_rows is None:
        stepper.seat(wave, turnover, slice(0, len(wave)))
    reward = torch.from_numpy(cohort.reward[ordinals]).to(device)
    return CohortRun(Run(stepper, wave, turnover, reward, episode, steps), cohort, ordinals)


def put_back(pool: Pool, begun: CohortRun) -> None:
    """Write the agents' new selves into their cohort; those that a run never came to are as they were."""
    run, cohort, ordinals = begun.run, begun.cohort, begun.ordinals
    pool.journals.ticked(begun, ended=True)
    step = run.wave.step.cpu().numpy()
    cohort.busy[ordinals] = False
    cohort.page[ordinals] = pool.pages(cohort.student).settle(run.states, step > cohort.step[ordinals])
    cohort.step[ordinals] = step
    cohort.last_action[ordinals] = run.wave.last_action.cpu().numpy()
    cohort.reward[ordinals] = run.reward_B.cpu().numpy()


async def run_to_end(engine: Engine, begun: CohortRun) -> AsyncGenerator[Progress, None]:
    """Drive a run, a slice at a time, while the caller asks on; then, or when it stops, put the agents back."""
    try:
        while not begun.run.finished:
            yield await engine.drive(begun.advance(engine.pool, SLICE_SECONDS))
    finally:
        # What is asked of the engine next, such as to drop the agents, must not overtake it.
        await to_its_end(engine.drive(begun.finish(engine.pool)))
