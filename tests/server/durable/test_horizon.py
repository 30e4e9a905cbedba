"""What a cohort does to agents beyond their horizon outlives a crash, and so does its policy."""

import numpy as np
import pytest
from plures_server.durable.policy import Durability, Level
from plures_server.engine import Engine
from plures_server.errors import UnknownCohort
from plures_server.horizon import HorizonPolicy
from plures_server.students import ServedStudent

from ..helpers import act, lives, served, small_student
from .conftest import House
from .helpers import LOG, same_bits, steps

HORIZON = 3


def faithful(steps: int = HORIZON) -> ServedStudent:
    """A student that was shown to be faithful for so many steps; 0: nobody knows."""
    student = served(small_student())
    student.card["horizon"] = steps
    return student


async def begin(engine: Engine, policy: HorizonPolicy, durability: Durability = LOG) -> None:
    await engine.call(lambda pool: pool.start("joe", "joe", 3, 0, durability, policy))


@pytest.mark.parametrize("policy", [HorizonPolicy.RETIRE, HorizonPolicy.REANCHOR])
async def test_what_became_of_agents_at_the_horizon_comes_back(house: House, policy: HorizonPolicy) -> None:
    engine = house.engine(student=faithful())
    await begin(engine, policy)
    await steps(engine, "joe", 1, [1])
    await steps(engine, "joe", HORIZON - 1)
    again = house.after_a_crash(student=faithful())
    assert await same_bits(engine, again)
    for living in (engine, again):
        await steps(living, "joe", 1)
    assert await same_bits(engine, again)


@pytest.mark.parametrize("durability", [LOG, Durability(Level.SNAPSHOT)])
async def test_the_policy_holds_after_a_restart(house: House, durability: Durability) -> None:
    engine = house.engine(student=faithful())
    await begin(engine, HorizonPolicy.RETIRE, durability)
    await steps(engine, "joe", HORIZON - 1)
    house.stop(engine)
    again = house.engine(student=faithful())
    assert (await act(again, "joe")).beyond == 3
    with pytest.raises(UnknownCohort):
        await act(again, "joe")


async def test_who_comes_back_beyond_the_horizon_is_dealt_with_at_once(house: House) -> None:
    engine = house.engine(student=faithful(steps=0))
    await begin(engine, HorizonPolicy.REANCHOR)
    await steps(engine, "joe", HORIZON, [0, 2])
    await steps(engine, "joe", 1)
    again = house.after_a_crash(student=faithful())
    found = await lives(again, "joe")
    assert found.step.tolist() == [0, 1, 0]
    assert not found.page[[0, 2]].any(), "newborns have learned nothing"


async def test_a_cohort_that_comes_back_with_all_beyond_the_horizon_is_no_more(house: House) -> None:
    engine = house.engine(student=faithful(steps=0))
    await begin(engine, HorizonPolicy.RETIRE)
    await steps(engine, "joe", HORIZON)
    folder = house.copy()
    again = house.engine(student=faithful(), folder=folder)
    assert await again.call(lambda pool: pool.all()) == []
    house.stop(again)
    later = house.engine(student=faithful(steps=0), folder=folder)
    assert await later.call(lambda pool: pool.all()) == []


async def test_one_that_is_warned_comes_back_as_it_was(house: House) -> None:
    engine = house.engine(student=faithful())
    await begin(engine, HorizonPolicy.WARN)
    await steps(engine, "joe", HORIZON + 1)
    again = house.after_a_crash(student=faithful())
    assert await same_bits(engine, again)
    assert np.array_equal((await lives(again, "joe")).step, [HORIZON + 1] * 3)
