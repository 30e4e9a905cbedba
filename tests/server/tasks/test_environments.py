"""Environments of gymnasium and of plugins: as their twins step them, and clearly refused where nobody could act."""

from importlib.metadata import EntryPoint
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from plures_server.errors import InvalidArgument
from plures_server.tasks import TASKS, plugins
from plures_server.tasks.bandit import Bandit
from plures_server.tasks.environments import MOST_COPIES, Environment

from ..conftest import MakeEngine
from ..helpers import small_student, start
from ..test_runs import request, run

COPIES, STEPS = 5, 60


def begun(task: Environment, seeds: list[int]) -> Any:
    return task.begin(torch.empty(len(seeds), 0), torch.tensor(seeds), torch.full((len(seeds),), STEPS))


@pytest.mark.parametrize("name", ["CartPole-v1", "FrozenLake-v1", "Taxi-v4"])
def test_copies_live_as_environments_that_are_stepped_by_themselves(name: str) -> None:
    task, seeds = Environment(name), [3, -1, 2**40 + 5]
    episode = begun(task, seeds)
    actions = np.random.default_rng(0).integers(0, task.action_space.n, (STEPS, 3))
    cuts = [slice(0, 2), slice(2, 3)]
    rows = [torch.cat([episode.observation(cut) for cut in cuts])]
    rewards, ended = [], []
    for tick, action_B in enumerate(actions):
        action = torch.tensor(action_B, dtype=torch.int32)
        rewards.append(torch.cat([episode.step(cut, action[cut], tick) for cut in cuts]))
        ended.append(torch.cat([episode.ended(cut) for cut in cuts]))
        rows.append(torch.cat([episode.observation(cut) for cut in cuts]))
    for copy, seed in enumerate(seeds):
        env = gymnasium.make(name)
        seen, _ = env.reset(seed=seed & 0xFFFFFFFF)
        total, returns, so_far = 0.0, [], 0.0
        for tick in range(STEPS):
            assert np.array_equal(rows[tick][copy].numpy(), np.asarray(seen, rows[0].numpy().dtype))
            seen, reward, terminated, truncated, _ = env.step(int(actions[tick, copy]))
            total, so_far = total + reward, so_far + reward
            assert rewards[tick][copy] == np.float32(reward)
            assert ended[tick][copy] == (terminated or truncated)
            if terminated or truncated:
                returns, so_far = [*returns, so_far], 0.0
                seen, _ = env.reset()
        told = [total, len(returns), returns[-1] if returns else 0]
        assert episode.summary()[copy].tolist() == pytest.approx(told)


async def test_agents_run_in_an_environment_whose_spaces_are_their_students(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Environment("CartPole-v1")
    monkeypatch.setitem(TASKS, "gymnasium:CartPole-v1", task)
    engine = make_engine(small_student(task.observation_space, actions=2), small_student(Discrete(1)))
    await start(engine, "a", COPIES)
    await start(engine, "b", COPIES, student="jane")
    wanted = {"task": "gymnasium:CartPole-v1", "parameters": torch.empty(1, 0), "steps": STEPS}
    _, summary = await run(engine, request("a", **wanted))
    assert summary[:, 0].tolist() == [STEPS] * COPIES, "balancing pays 1 a step"
    assert (summary[:, 1] > 0).all(), "and nobody who acts at random balances for long"
    with pytest.raises(InvalidArgument, match="task 'gymnasium:CartPole-v1' has observation_space"):
        await run(engine, request("b", **wanted))


def test_more_copies_than_python_can_hold_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="16,385 copies of environment 'CartPole-v1' are too many"):
        begun(Environment("CartPole-v1"), [0] * (MOST_COPIES + 1))


class Odd(gymnasium.Env[Any, Any]):
    """Spaces that no student has."""

    def __init__(self, observation: Any = None, action: Any = None) -> None:
        self.observation_space = observation or Discrete(2)
        self.action_space = action or Discrete(2)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.envs.registration.registry))
    return lambda name, **spaces: gymnasium.register(name, entry_point=lambda: Odd(**spaces))


@pytest.mark.parametrize(
    ("spaces", "said"),
    [
        ({"action": Box(-1, 1, (2,))}, "students choose among n actions"),
        ({"observation": Dict({"a": Discrete(2)})}, "the observations of environment 'Odd-v0' fit no student"),
        ({"observation": Discrete(3, start=1)}, "take the start off the values"),
        ({"action": Discrete(3, start=-1)}, "the actions of environment 'Odd-v0' fit no student"),
    ],
)
def test_an_environment_that_no_student_fits_is_refused(register: Any, spaces: dict[str, Any], said: str) -> None:
    register("Odd-v0", **spaces)
    with pytest.raises(InvalidArgument, match=said):
        Environment("Odd-v0")


def test_an_environment_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="gymnasium can make no environment 'Nowhere-v0'"):
        plugins.more_tasks(TASKS, ["Nowhere-v0"])


def bring(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint(name, value, group)])


three_armed = Bandit(arms=3)


def make_five_armed() -> Bandit:
    return Bandit(arms=5)


no_task = object()


@pytest.mark.parametrize(("value", "arms"), [("three_armed", 3), ("make_five_armed", 5)])
def test_a_plugin_is_a_task_or_makes_one(monkeypatch: pytest.MonkeyPatch, value: str, arms: int) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.value])
    bring(monkeypatch, "more-arms", value)
    assert plugins.more_tasks(TASKS, [])["more-arms"].action_space == Discrete(arms)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("bandit", "three_armed", "has a name that another task has"),
        ("more arms", "three_armed", "is no task's name"),
        ("nothing", "nowhere", "cannot be loaded: KeyError"),
        ("nothing", "no_task", "cannot be loaded: TypeError"),
        ("nothing", "list", "is no task: it has no observation_space"),
    ],
)
def test_a_plugin_that_is_no_task_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda self: {**globals(), "list": list}[self.value])
    bring(monkeypatch, name, value)
    with pytest.raises(InvalidArgument, match=said):
        plugins.more_tasks(TASKS, [])
