"""An agent's life is a function of (student, seed, ordinal, inputs): the same bits in whatever company."""

import itertools

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plures_server.engine import Engine
from plures_students.config import StudentConfig
from plures_students.model import Student
from torch import Tensor

from .conftest import MakeEngine
from .helpers import act, forked, lives, small_student, start

BOX = Box(-1, 1, (3,))
STEPS = 4


def perceived(count: int, step: int) -> dict[str, Tensor]:
    """What `count` agents perceive at a step: the same for an agent whoever else there is."""
    generator = torch.Generator().manual_seed(step)
    observation = torch.rand(10_000, 3, generator=generator)[:count] * 2 - 1
    reward = torch.randn(10_000, generator=generator)[:count]
    done = (torch.rand(10_000, generator=generator) < 0.3).to(torch.uint8)[:count]
    return {"observation": observation, "reward": reward, "done": done}


async def live_together(engine: Engine, name: str, count: int, seed: int = 7) -> Tensor:
    """All agents in one request a step; their log-probabilities [STEPS, count, A]."""
    await start(engine, name, count, seed)
    told = [await act(engine, name, **perceived(count, t), want_log_probs=True) for t in range(STEPS)]
    return torch.stack([torch.from_numpy(result.log_probs) for result in told])


def part_of(whole: dict[str, Tensor], ordinals: list[int]) -> dict[str, Tensor]:
    return {name: tensor[ordinals] for name, tensor in whole.items()}


@st.composite
def companies(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    """A number of agents, and a way to cut them in requests."""
    count = draw(st.integers(1, 40))
    order = draw(st.permutations(range(count)))
    cuts = sorted(draw(st.sets(st.integers(1, count - 1), max_size=5))) if count > 1 else []
    ends = zip([0, *cuts], [*cuts, count], strict=True)
    return count, [order[first:last] for first, last in ends]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(companies(), st.booleans())
async def test_separate_requests_are_one_request(
    make_engine: MakeEngine, company: tuple[int, list[list[int]]], others: bool
) -> None:
    """In any order, joined in one wave or not, and with agents of another cohort between them."""
    count, parts = company
    engine = make_engine(small_student(BOX, actions=3))
    expected = await live_together(engine, "together", count)
    await start(engine, "apart", count, seed=7)
    await start(engine, "others", 5, seed=1)
    for t in range(STEPS):
        whole = perceived(count, t)
        sent = []
        for part in parts:
            if others:
                sent.append(act(engine, "others", **perceived(5, t)))
            sent.append(act(engine, "apart", part, **part_of(whole, part), want_log_probs=True))
        told = [await one for one in sent][int(others) :: 1 + int(others)]
        for part, result in zip(parts, told, strict=True):
            assert torch.equal(torch.from_numpy(result.log_probs), expected[t, part])
    assert (await lives(engine, "apart")).same_bits(await lives(engine, "together"))


WIDTHS = {
    "default": {},
    "odd": {"width": 48, "heads": 3, "key_width": 7, "value_width": 5, "mlp_width": 51},
    "least": {"width": 16},
    "wide": {"width": 96},
}


@pytest.mark.parametrize("sizes", WIDTHS)
async def test_a_life_is_the_same_in_a_crowd_as_alone(make_engine: MakeEngine, sizes: str) -> None:
    """With the sizes of students and tiles that are served, at the edges of tiles and within."""
    torch.manual_seed(0)
    model = Student(StudentConfig(BOX, Discrete(3), **WIDTHS[sizes])).eval().requires_grad_(False)
    engine = make_engine(model, pages=15_000, tiles=(64, 512, 4096))
    crowd = 5000
    expected = await live_together(engine, "crowd", crowd)
    await start(engine, "loners", crowd, seed=7)
    loners = [[0], [1], [63], [64], [4095], [4096], [4999], list(range(100, 165)), list(range(2000, 2513))]
    for t in range(STEPS):
        whole = perceived(crowd, t)
        for loner in loners:
            result = await act(engine, "loners", loner, **part_of(whole, loner), want_log_probs=True)
            assert torch.equal(torch.from_numpy(result.log_probs), expected[t, loner]), f"agents {loner[:3]}… step {t}"
    everyone = [*itertools.chain(*loners)]
    assert (await lives(engine, "loners", everyone)).same_bits(await lives(engine, "crowd", everyone))


async def test_a_life_depends_on_its_seed_and_ordinal(engine: Engine) -> None:
    for name, seed in (("joe", 1), ("jane", 1), ("jim", 2)):
        await start(engine, name, 50, seed)
    told = {name: np.stack([(await act(engine, name)).action for _ in range(40)]) for name in ("joe", "jane", "jim")}
    assert np.array_equal(told["joe"], told["jane"])
    assert not np.array_equal(told["joe"], told["jim"])
    assert len(np.unique(told["joe"], axis=1).T) == 50


async def test_step_then_fork_is_fork_then_step(make_engine: MakeEngine) -> None:
    engine = make_engine(small_student(BOX))
    await live_together(engine, "parent", 6)
    await forked(engine, "parent", "early", seed=7)
    inputs = perceived(6, STEPS)
    before = await lives(engine, "parent")
    told = await act(engine, "early", **inputs)
    assert (await lives(engine, "parent")).same_bits(before), "a copy's step touched its parent"
    assert np.array_equal((await act(engine, "parent", **inputs)).action, told.action)
    await forked(engine, "parent", "late", seed=7)
    assert (await lives(engine, "early")).same_bits(await lives(engine, "late"))


async def test_copies_with_a_seed_of_their_own_part(engine: Engine) -> None:
    await start(engine, "joe", 1, seed=3)
    await act(engine, "joe")
    await forked(engine, "joe", "copies", copies=64, seed=4)
    told = np.stack([(await act(engine, "copies")).action for _ in range(40)])
    assert len(np.unique(told, axis=1).T) == 64


async def test_retiring_a_parent_harms_no_child(make_engine: MakeEngine) -> None:
    engine = make_engine(small_student(BOX), pages=30)
    await live_together(engine, "parent", 6)
    await forked(engine, "parent", "child", seed=7)
    before = await lives(engine, "child")
    await engine.call(lambda pool: pool.retire("parent", None))
    await live_together(engine, "usurper", 20, seed=1)
    assert (await lives(engine, "child")).same_bits(before)
