"""Horizons: what becomes of agents that have lived longer than their student was shown to be faithful for."""

import numpy as np
import pytest
from plures_server.engine import Engine
from plures_server.errors import InvalidArgument, UnknownCohort
from plures_server.horizon import HorizonPolicy, policy_from
from plures_students.model import NO_ACTION

from .conftest import MakeEngine
from .helpers import act, forked

HORIZON = 3


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    """Its student is faithful for three steps."""
    engine = make_engine()
    [joe] = engine.students.all()
    joe.card["horizon"] = HORIZON
    return engine


async def begun(engine: Engine, policy: HorizonPolicy | None, count: int = 4) -> None:
    await engine.call(lambda pool: pool.start("joe", "joe", count, 1, horizon_policy=policy))


async def test_whoever_is_not_at_the_horizon_is_left_alone(engine: Engine) -> None:
    await begun(engine, HorizonPolicy.RETIRE)
    for _ in range(HORIZON - 1):
        assert (await act(engine, "joe")).beyond == 0
    cohort = await engine.call(lambda pool: pool.get("joe"))
    assert cohort.alive.all()


async def test_warned_agents_go_on_and_are_counted(engine: Engine) -> None:
    await begun(engine, None)
    await act(engine, "joe", [0])
    counted = [(await act(engine, "joe")).beyond for _ in range(HORIZON)]
    assert counted == [0, 1, 4]
    assert (await act(engine, "joe", [2, 3])).beyond == 2


async def test_ignored_agents_go_on_and_are_not(engine: Engine) -> None:
    await begun(engine, HorizonPolicy.IGNORE)
    assert [(await act(engine, "joe")).beyond for _ in range(HORIZON + 1)] == [0] * (HORIZON + 1)


async def test_agents_at_the_horizon_are_retired_when_their_last_step_is_answered(engine: Engine) -> None:
    await begun(engine, HorizonPolicy.RETIRE)
    await act(engine, "joe", [1])
    for _ in range(HORIZON - 1):
        last = await act(engine, "joe", want_steps=True)
    assert (len(last.action), last.beyond) == (4, 1)
    cohort = await engine.call(lambda pool: pool.get("joe"))
    assert cohort.alive.tolist() == [True, False, True, True]
    await act(engine, "joe")
    with pytest.raises(UnknownCohort):
        await act(engine, "joe")
    assert await engine.call(lambda pool: pool.usage().bytes_used) == 0


async def test_reanchored_agents_live_as_they_did_from_birth_on(engine: Engine) -> None:
    await begun(engine, HorizonPolicy.REANCHOR)
    lives = [[(await act(engine, "joe", want_log_probs=True)).log_probs for _ in range(HORIZON)] for _ in range(3)]
    assert np.array_equal(lives[0], lives[1])
    assert np.array_equal(lives[0], lives[2])
    cohort = await engine.call(lambda pool: pool.get("joe"))
    assert cohort.step.tolist() == [0] * 4
    assert cohort.last_action.tolist() == [NO_ACTION] * 4
    assert await engine.call(lambda pool: pool.usage().bytes_used) == 0, "newborns own no state"


async def test_a_fork_has_the_policy_of_its_source_unless_it_has_one_of_its_own(engine: Engine) -> None:
    await begun(engine, HorizonPolicy.RETIRE)
    await forked(engine, "joe", "jane")
    await engine.call(lambda pool: pool.fork("joe", None, 1, "jim", 0, horizon_policy=HorizonPolicy.IGNORE))
    policies = await engine.call(lambda pool: [pool.get(name).horizon_policy for name in ("jane", "jim")])
    assert policies == [HorizonPolicy.RETIRE, HorizonPolicy.IGNORE]


async def test_a_horizon_that_was_not_measured_is_never_reached(make_engine: MakeEngine) -> None:
    engine = make_engine()
    await begun(engine, HorizonPolicy.RETIRE)
    assert [(await act(engine, "joe")).beyond for _ in range(5)] == [0] * 5


def test_a_policy_there_is_not_is_refused() -> None:
    assert policy_from(0) is None
    with pytest.raises(InvalidArgument, match="no horizon_policy 9; there are 1"):
        policy_from(9)
