"""Some agents of a cohort as a thing of their own."""

import numpy as np
import pytest
from plures_client import AsyncClient, Client, Cohort
from plures_client.errors import InvalidArgument


def test_agents_in_brackets_are_those_of_the_cohort(cohort: Cohort) -> None:
    some = cohort[10:20]
    assert some.act(want_steps=True).step.tolist() == [1] * 10
    assert cohort[[3, 15]].act(want_steps=True).step.tolist() == [1, 2]
    assert cohort[15].act(want_steps=True).step.tolist() == [3]
    assert cohort[0:100:50].act(want_steps=True).step.tolist() == [1, 1]
    assert cohort[np.array([15])].retire() == 1
    assert cohort.describe().alive == 99


def test_agents_are_forked_and_merged_into_cohorts_with_names_made_of_theirs(cohort: Cohort) -> None:
    cohort[10:20].act()
    forks = cohort[10:20].fork(5)
    told = forks.describe()
    assert (told.count, told.min_step, told.parent) == (50, 1, cohort.name)
    assert forks.name.startswith(f"{cohort.name}-")
    merged = cohort[10:12].merge(copies=3)
    assert merged.describe().count == 3
    assert cohort[7].run("bandit", {"p_0": 1, "p_1": 1}, steps=4).result().agent_steps == 4
    for made in (forks, merged):
        made.retire()


def test_the_longest_names_have_room_for_those_made_of_them(client: Client, name: str) -> None:
    longest = client.cohorts.start(name + "x" * (63 - len(name)), student="bandit", count=1)
    fork = longest[0].fork()
    assert len(fork.name) == 63
    fork.retire()
    longest.retire()


@pytest.mark.parametrize("which", [slice(3, None), slice(None), slice(-3, -1), slice(0, -1), slice(9, 0, -1)])
def test_agents_that_only_the_server_could_count_are_refused(cohort: Cohort, which: slice) -> None:
    with pytest.raises(InvalidArgument, match="how many it has"):
        cohort[which]


async def test_the_same_holds_for_asyncio(server, cohort: Cohort) -> None:
    async with AsyncClient(server.address) as client:
        forks = await client.cohort(cohort.name)[2:4].fork(2, name=f"{cohort.name}-f")
        assert (await forks[0:3].act()).action.shape == (3,)
        assert (await forks[0].merge()).name.startswith(forks.name)
        assert await forks.retire() == 4
