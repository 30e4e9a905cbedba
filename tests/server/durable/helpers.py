"""What agents are told and have become, for tests of what outlives a server."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plures_server.act_request import ActResult
from plures_server.cohort import Cohort
from plures_server.durable.policy import Durability, Level
from plures_server.engine import Engine
from plures_server.run import Progress
from plures_server.runs import RunRequest, begin, put_back, run_to_end

from ..helpers import Lives, act, lives

LOG = Durability(Level.LOG)


async def start(engine: Engine, name: str, count: int, durability: Durability = LOG, seed: int = 0) -> Cohort:
    return await engine.call(lambda pool: pool.start(name, "joe", count, seed, durability))


async def steps(engine: Engine, cohort: str, number: int, ordinals: Sequence[int] | None = None) -> list[ActResult]:
    """So many steps, each with rewards of its own."""
    done = []
    for n in range(number):
        agents = len(ordinals) if ordinals is not None else await count(engine, cohort)
        rewards = torch.from_numpy(np.random.default_rng(n).normal(size=agents).astype(np.float32))
        done.append(act(engine, cohort, ordinals, reward=rewards))
    return [await one for one in done]


async def count(engine: Engine, cohort: str) -> int:
    return await engine.call(lambda pool: int(pool.get(cohort).alive.sum()))


async def run(
    engine: Engine,
    cohort: str,
    ticks: "int | np.ndarray[Any, Any]",
    until: int | None = None,
    at: Callable[[int], None] = lambda tick: None,
) -> list[Progress]:
    """A bandit for all agents, given up when `until` ticks were reported; `at` is told of every report."""
    request = RunRequest(cohort, None, "bandit", torch.tensor([[0.2, 0.8]]), ticks, 5)
    begun = await engine.borrow(lambda pool: begin(pool, engine.steppers["joe"], request), put_back)
    told = []
    slices = run_to_end(engine, begun)
    async for progress in slices:
        told.append(progress)
        at(progress.tick)
        if until is not None and progress.tick >= until:
            break
    await slices.aclose()
    return told


async def everything(engine: Engine) -> dict[str, Lives]:
    """All agents that are alive, by cohort."""
    cohorts = await engine.call(lambda pool: {c.name: np.flatnonzero(c.alive).tolist() for c in pool.all()})
    return {name: await lives(engine, name, alive) for name, alive in cohorts.items()}


async def same_bits(one: Engine, other: Engine) -> bool:
    ours, theirs = await everything(one), await everything(other)
    return ours.keys() == theirs.keys() and all(ours[name].same_bits(theirs[name]) for name in ours)


def journal(folder: Path, name: str = "joe") -> Path:
    """The folder of the one journal that a cohort began."""
    [found] = [path for path in folder.iterdir() if path.name.startswith(f"{name}.")]
    return found


def last_log(folder: Path, name: str = "joe") -> Path:
    """The log file that was begun last."""
    return max(journal(folder, name).glob("log-*"))
