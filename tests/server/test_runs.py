"""Runs of a task beside the agents: the same lives as by single steps, and agents that are always given back."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plures_server import run as run_module
from plures_server.engine import Engine
from plures_server.errors import (
    AgentsBusy,
    InvalidArgument,
    PluresError,
    PoolFull,
    TaskFailed,
    UnknownAgent,
    UnknownTask,
)
from plures_server.run import Progress
from plures_server.runs import CohortRun, RunRequest, begin, put_back, run_to_end
from plures_server.tasks import TASKS
from torch import Tensor

from .conftest import MakeEngine
from .helpers import act, lives, small_student, start
from .test_act import Fragile, pages_used
from .test_engine import held_up

FAIR = torch.tensor([[0.3, 0.7]])
BANDIT = TASKS["bandit"]


def request(cohort: str = "joe", **changes: Any) -> RunRequest:
    wanted: dict[str, Any] = {"ordinals": None, "task": "bandit", "parameters": FAIR, "steps": 5, "seed": 11}
    return RunRequest(cohort, **(wanted | changes))


def begun(engine: Engine, wanted: RunRequest) -> Any:
    def work(pool: Any) -> CohortRun:
        return begin(pool, engine.steppers[pool.get(wanted.cohort).student.name], wanted)

    return engine.borrow(work, put_back)


async def run(engine: Engine, wanted: RunRequest) -> tuple[list[Progress], NDArray[np.float32]]:
    started = await begun(engine, wanted)
    progress = [one async for one in run_to_end(engine, started)]
    return progress, started.run.episode.summary().numpy()


def recorded(progress: list[Progress]) -> tuple[Tensor, Tensor]:
    """Actions int32 and rewards, [ticks, agents]."""
    records = [one.record for one in progress if one.record is not None]
    assert [record.first_tick for record in records] == np.cumsum([0, *(len(r.action) for r in records)])[:-1].tolist()
    action, reward = (np.concatenate([getattr(record, name) for record in records]) for name in ("action", "reward"))
    return torch.from_numpy(action), torch.from_numpy(reward)


async def relive(
    engine: Engine, cohort: str, action_TB: Tensor, reward_TB: Tensor, last_reward_B: Tensor | None
) -> None:
    """The same life by single steps, each told the reward of the one before; what it does must be the same."""
    for t, expected_B in enumerate(action_TB):
        told: dict[str, Tensor] = {"reward": reward_TB[t - 1]} if t else {}
        if t == 0 and last_reward_B is not None:
            told = {"reward": last_reward_B, "done": torch.ones(len(expected_B), dtype=torch.uint8)}
        assert np.array_equal((await act(engine, cohort, **told)).action, expected_B), f"step {t}"


@pytest.mark.parametrize("count", [1, 5, 40])
async def test_a_run_is_the_life_that_single_steps_make(engine: Engine, count: int) -> None:
    """Bit for bit, and so is a second run, which is a new episode to agents that have lived before."""
    for name in ("run", "stepped"):
        await start(engine, name, count, seed=3)
    last_reward_B = None
    for seed in (1, 2):
        progress, _ = await run(engine, request("run", steps=12, seed=seed, record=count))
        action_TB, reward_TB = recorded(progress)
        assert action_TB.shape == reward_TB.shape == (12, count)
        await relive(engine, "stepped", action_TB, reward_TB, last_reward_B)
        after, stepped = await lives(engine, "run"), await lives(engine, "stepped")
        assert torch.equal(after.page, stepped.page)
        assert np.array_equal(after.step, stepped.step)
        assert np.array_equal(after.last_action, stepped.last_action)
        last_reward_B = reward_TB[-1]
        assert np.array_equal(after.reward, last_reward_B), "what the next step perceives"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(12)),
    steps=st.lists(st.integers(1, 6), min_size=12, max_size=12).map(lambda steps: sorted(steps, reverse=True)),
    cut=st.integers(1, 11),
)
async def test_a_run_is_the_same_in_any_company(
    make_engine: MakeEngine, order: list[int], steps: list[int], cut: int
) -> None:
    """All agents in one run with steps of their own, or in two runs, in any order: the same lives and summaries."""
    engine = make_engine()
    for name in ("whole", "parts"):
        await start(engine, name, 12, seed=5)
    parameters, each = torch.rand(12, 2, generator=torch.Generator().manual_seed(0)), np.array(steps)
    _, whole = await run(engine, request("whole", ordinals=np.array(order), parameters=parameters[order], steps=each))
    parts = np.empty_like(whole)
    for part in (slice(0, cut), slice(cut, 12)):
        of = np.array(order[part])
        _, parts[part] = await run(engine, request("parts", ordinals=of, parameters=parameters[of], steps=each[part]))
    assert np.array_equal(whole, parts)
    assert (await lives(engine, "whole")).same_bits(await lives(engine, "parts"))
    assert (await lives(engine, "whole", order)).step.tolist() == steps


async def test_a_run_depends_on_its_seed(engine: Engine) -> None:
    for name in "abc":
        await start(engine, name, 20, seed=0)
    summaries = [
        (await run(engine, request(name, seed=seed, steps=30)))[1] for name, seed in zip("abc", (1, 1, 2), strict=True)
    ]
    assert np.array_equal(summaries[0], summaries[1])
    assert not np.array_equal(summaries[0], summaries[2])


@pytest.mark.parametrize("steps", [1, 9, 10])
async def test_the_summary_counts_what_was_recorded(engine: Engine, steps: int) -> None:
    await start(engine, "joe", 7)
    progress, summary = await run(engine, request(steps=steps, record=7))
    action_TB, reward_TB = recorded(progress)
    for arm in (0, 1):
        pulled_TB = action_TB == arm
        counted = [pulled_TB.sum(0), (pulled_TB * reward_TB).sum(0), pulled_TB[steps // 2 :].sum(0)]
        assert summary[:, 3 * arm : 3 * arm + 3].T.tolist() == [row.tolist() for row in counted]


async def test_arms_pay_at_their_rates(make_engine: MakeEngine) -> None:
    engine, count, steps = make_engine(tiles=(512,)), 1000, 40
    await start(engine, "joe", count)
    parameters = torch.tensor([[0.0, 1.0], [0.2, 0.5], [0.9, 0.07], [1.0, 0.0]]).repeat(count // 4, 1)
    _, summary = await run(engine, request(parameters=parameters, steps=steps))
    pulls, rewards = (torch.from_numpy(summary[:, column::3]) for column in (0, 1))
    assert pulls.sum(1).eq(steps).all()
    for kind in range(4):
        p, n, paid = parameters[kind], pulls[kind::4].sum(0), rewards[kind::4].sum(0)
        assert ((paid - n * p).abs() <= 5 * (n * p * (1 - p)).sqrt()).all()


def test_counting_goes_on_beyond_what_a_float_counts() -> None:
    episode = TASKS["bandit"].begin(torch.tensor([[1.0, 1.0]]), torch.tensor([0]), torch.tensor([1]))
    episode._counts_BM[:] = 2**24
    for tick in range(4):
        episode.step(slice(0, 1), torch.tensor([1]), tick)
    assert episode.summary().tolist() == [[2**24] * 3 + [2**24 + 4] * 3]


async def test_a_run_says_how_far_it_is(engine: Engine) -> None:
    await start(engine, "joe", 3)
    progress, summary = await run(engine, request(steps=np.array([300, 300, 7])))
    assert [one.tick for one in progress] == sorted({one.tick for one in progress})
    assert {one.ticks for one in progress} == {300}
    last = progress[-1]
    assert (last.tick, last.agent_steps) == (300, 607)
    assert summary[:, [0, 3]].sum() == 607
    assert last.seconds > 0
    assert last.mean_reward in (0, 0.5, 1)
    assert last.record is None


async def test_records_are_handed_out_before_they_grow_large(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "RECORD_BYTES", 8 * 3 * 4)
    await start(engine, "joe", 9)
    progress, _ = await run(engine, request(steps=10, record=3))
    assert [len(one.record.action) for one in progress if one.record] == [4, 4, 2]
    assert recorded(progress)[0].shape == (10, 3)


async def test_an_agent_that_is_done_repeats_its_last_step_in_the_record(engine: Engine) -> None:
    await start(engine, "joe", 2)
    action_TB, reward_TB = recorded((await run(engine, request(steps=np.array([9, 3]), record=2)))[0])
    for recorded_TB in (action_TB, reward_TB):
        assert recorded_TB[3:, 1].eq(recorded_TB[2, 1]).all()


BAD_RUNS: dict[str, tuple[dict[str, Any], type[PluresError], str]] = {
    "no steps": ({"steps": 0}, InvalidArgument, "0 steps"),
    "steps that increase": ({"steps": np.array([1, 2, 2])}, InvalidArgument, "most steps first"),
    "steps of some": ({"steps": np.array([2, 2])}, InvalidArgument, "steps of 2 agents are given, but 3 are selected"),
    "a record of more": ({"record": 4}, InvalidArgument, "4 agents to record, but 3 selected"),
    "another task": ({"task": "chess"}, UnknownTask, "no task 'chess' is known"),
    "an agent too many": ({"ordinals": np.array([3])}, UnknownAgent, "not 3"),
    "nobody": ({"ordinals": np.array([], np.int64)}, InvalidArgument, "no agents"),
    "no chance": ({"parameters": torch.tensor([[0.5, 1.5]])}, InvalidArgument, "p_1 1.5 of row 0"),
    "a chance below 0": ({"parameters": torch.tensor([[-0.1, 1]])}, InvalidArgument, "p_0 -0.1"),
    "a chance that is no number": ({"parameters": FAIR * torch.nan}, InvalidArgument, "p_0 nan of row 0"),
    "parameters of some": ({"parameters": FAIR.repeat(2, 1)}, InvalidArgument, "2 rows of parameters for 3 agents"),
    "a parameter too few": ({"parameters": FAIR[:, :1]}, InvalidArgument, "(p_0, p_1)"),
    "a parameter rank too few": ({"parameters": FAIR[0]}, InvalidArgument, "(p_0, p_1)"),
    "parameters of another dtype": ({"parameters": FAIR.double()}, InvalidArgument, "torch.float64"),
}


@pytest.mark.parametrize("what", BAD_RUNS)
async def test_a_run_that_makes_no_sense_changes_nothing(engine: Engine, what: str) -> None:
    changes, error, said = BAD_RUNS[what]
    cohort = await start(engine, "joe", 3)
    with pytest.raises(error) as refused:
        await begun(engine, request(**changes))
    assert said in str(refused.value)
    assert not cohort.busy.any()
    assert await pages_used(engine) == 0
    await run(engine, request())


@pytest.mark.parametrize(("observation", "actions"), [(Discrete(2), 2), (Discrete(1), 3)], ids=["sees", "acts"])
async def test_a_student_of_other_spaces_is_refused(
    make_engine: MakeEngine, observation: Discrete, actions: int
) -> None:
    engine = make_engine(small_student(observation, actions))
    await start(engine, "joe", 1)
    with pytest.raises(InvalidArgument, match="task 'bandit' has"):
        await begun(engine, request())


async def test_a_full_pool_refuses_a_run_and_changes_nothing(make_engine: MakeEngine) -> None:
    engine = make_engine(pages=2)
    cohort = await start(engine, "joe", 3)
    with pytest.raises(PoolFull):
        await begun(engine, request())
    assert not cohort.busy.any()
    await run(engine, request(ordinals=np.array([0, 2])))
    assert await pages_used(engine) == 2


async def test_agents_in_a_run_are_busy_until_it_ends(engine: Engine) -> None:
    await start(engine, "joe", 3)
    async with aclosing(run_to_end(engine, await begun(engine, request(ordinals=np.array([1]), steps=10**9)))) as going:
        await anext(going)
        await act(engine, "joe", [0, 2])
        for refused in (
            lambda: act(engine, "joe", [0, 1]),
            lambda: begun(engine, request()),
            lambda: engine.call(lambda pool: pool.retire("joe", None)),
            lambda: engine.call(lambda pool: pool.fork("joe", np.array([1]), 1, "jane", 0)),
        ):
            with pytest.raises(AgentsBusy, match="agent 1 of cohort 'joe' is in a run"):
                await refused()
    await act(engine, "joe")


@pytest.mark.parametrize("how", ["the caller is cancelled", "the caller asks no more"])
async def test_a_run_that_is_left_gives_its_agents_back_as_they_are(engine: Engine, how: str) -> None:
    cohort = await start(engine, "joe", 30)
    started = await begun(engine, request(steps=10**9))
    seen = asyncio.Event()

    async def follow() -> None:
        async with aclosing(run_to_end(engine, started)) as going:
            async for _ in going:
                seen.set()
                if how == "the caller asks no more":
                    return

    follower = asyncio.create_task(follow())
    await seen.wait()
    if how == "the caller is cancelled":
        follower.cancel()
    await asyncio.wait({follower})
    assert not cohort.busy.any()
    assert cohort.step.min() == cohort.step.max() == started.run.tick > 0
    assert started.run.episode.summary()[:, [0, 3]].sum(1).eq(started.run.tick).all()
    assert await pages_used(engine) == 30
    await run(engine, request())


async def test_a_run_whose_caller_left_before_it_began_never_begins(engine: Engine) -> None:
    cohort = await start(engine, "joe", 5)
    with held_up(engine):
        starting = asyncio.ensure_future(begun(engine, request()))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    await engine.call(lambda pool: None)
    assert not cohort.busy.any()
    assert cohort.step.max() == 0
    assert await pages_used(engine) == 0


@pytest.mark.parametrize("lived", [False, True], ids=["newborn", "older"])
async def test_a_run_that_fails_gives_its_agents_back(make_engine: MakeEngine, lived: bool) -> None:
    model = Fragile(small_student().config).eval().requires_grad_(False)
    engine = make_engine(model)
    cohort = await start(engine, "joe", 30)
    if lived:
        await act(engine, "joe")
    started = await begun(engine, request())
    model.broken = True
    with pytest.raises(RuntimeError, match="out of memory, say"):
        await anext(run_to_end(engine, started))
    assert not cohort.busy.any()
    assert await pages_used(engine) == 30 * lived
    model.broken = False
    await run(engine, request())


async def test_others_step_while_a_run_goes_on(engine: Engine) -> None:
    """Between two tiles, not only between two slices of a run."""
    await start(engine, "crowd", 20_000)
    await start(engine, "joe", 1)
    started = await begun(engine, request("crowd", steps=100))
    going = run_to_end(engine, started)
    first = asyncio.ensure_future(anext(going))
    for _ in range(5):
        await act(engine, "joe")
    assert started.run.tick < 5
    first.cancel()
    await asyncio.wait({first})
    await going.aclose()
    assert not (await engine.call(lambda pool: pool.get("crowd").busy.any()))


class Wrong:
    """The bandit, but from the third tick on its rewards are not what they should be."""

    def __init__(self, reward_of: Callable[[Tensor], Tensor]) -> None:
        self.reward_of = reward_of
        self.observation_space, self.action_space = BANDIT.observation_space, BANDIT.action_space
        self.parameter_names, self.summary_names = BANDIT.parameter_names, BANDIT.summary_names
        self.check = BANDIT.check

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> Any:
        episode = BANDIT.begin(parameters_BP, seed_B, steps_B)
        step = episode.step
        episode.step = lambda rows, action_R, tick: (  # type: ignore[method-assign]
            self.reward_of(step(rows, action_R, tick)) if tick == 2 else step(rows, action_R, tick)
        )
        return episode


def broken(reward_R: Tensor) -> Tensor:
    raise ZeroDivisionError("of the task's own")


@pytest.mark.parametrize(
    ("reward_of", "complaint"),
    [
        (broken, "task 'wrong' failed in step: ZeroDivisionError"),
        (lambda reward_R: reward_R / 0, "task 'wrong' returned reward (nan|inf) for row 0"),
        (lambda reward_R: reward_R.double(), r"returned reward torch.float64 \[4\], not torch.float32 \[4\]"),
        (lambda reward_R: reward_R[1:], r"returned reward torch.float32 \[3\], not torch.float32 \[4\]"),
    ],
    ids=["raises", "infinite", "doubles", "short"],
)
async def test_a_task_that_goes_wrong_fails_its_run_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, reward_of: Callable[[Tensor], Tensor], complaint: str
) -> None:
    monkeypatch.setitem(TASKS, "wrong", Wrong(reward_of))
    cohort, other = await start(engine, "joe", 4), await start(engine, "jane", 30)
    beside = asyncio.ensure_future(run(engine, request("jane", steps=20)))
    started = await begun(engine, request("joe", task="wrong"))
    with pytest.raises(TaskFailed, match=complaint):
        async for _ in run_to_end(engine, started):
            pass
    await beside
    assert not cohort.busy.any()
    assert other.step.tolist() == [20] * 30
    assert (await run(engine, request("joe")))[0][-1].tick == 5


async def test_a_task_that_cannot_begin_takes_no_agents(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = Wrong(broken)
    monkeypatch.setattr(stubborn, "begin", lambda *_: broken(torch.zeros(1)))
    monkeypatch.setitem(TASKS, "wrong", stubborn)
    cohort = await start(engine, "joe", 4)
    with pytest.raises(TaskFailed, match="task 'wrong' failed in begin"):
        await begun(engine, request("joe", task="wrong"))
    assert not cohort.busy.any()
    assert await pages_used(engine) == 0
