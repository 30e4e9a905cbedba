"""Agents on a task with episodes perceive their ends, as they would if a client told them."""

import asyncio

import numpy as np
import torch
from gymnasium.spaces import Discrete
from plures_server.engine import Engine

from ..conftest import MakeEngine
from ..helpers import act, lives, small_student, start
from ..test_runs import recorded, request, run
from . import twins

DRAWING = ["........."] * 3 + ["...G#....", "...S....."] + ["........."] * 4


async def test_a_run_with_episodes_is_the_life_that_single_steps_make(make_engine: MakeEngine) -> None:
    engine = make_engine(small_student(Discrete(81), actions=5))
    await asyncio.gather(*(start(engine, name, 7, seed=3) for name in ("run", "stepped")))
    walkers = [twins.Maze(DRAWING, episode=4) for _ in range(7)]
    parameters = torch.tensor([walker.parameters for walker in walkers]).float()
    progress, _ = await run(engine, request("run", task="maze", parameters=parameters, steps=30, record=7))
    await relive(engine, walkers, recorded(progress)[0])
    assert (await lives(engine, "run")).same_bits(await lives(engine, "stepped"))


async def relive(engine: Engine, walkers: list[twins.Maze], action_TB: torch.Tensor) -> None:
    told = {}
    for action_B in action_TB:
        cells_B = torch.tensor([walker.observation for walker in walkers], dtype=torch.int32)
        acted = await act(engine, "stepped", observation=cells_B, **told)
        assert np.array_equal(acted.action, action_B)
        reward_B, done_B = zip(*(walker.step(int(a)) for walker, a in zip(walkers, action_B, strict=True)), strict=True)
        told = {"reward": torch.tensor(reward_B), "done": torch.tensor(done_B, dtype=torch.uint8)}
