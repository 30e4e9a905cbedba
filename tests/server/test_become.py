"""Becoming someone: a recorded life replayed is the life lived step by step, or nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plures_server.become import Becoming
from plures_server.engine import Engine
from plures_server.errors import AgentsBusy, InvalidArgument, PoolFull
from plures_server.life import LifeChunk
from plures_server.scanning import pieces
from plures_students.config import StudentConfig
from plures_students.model import Student
from torch import Tensor

from .conftest import MakeEngine
from .helpers import act, lives, small_student, start
from .test_act import pages_used

BOX = Box(-1, 1, (3,))


def life(steps: int, agents: int, seed: int = 0) -> dict[str, Tensor]:
    """Random lives, time first."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "observation": torch.rand(steps, agents, 3, generator=generator) * 2 - 1,
        "reward": torch.randn(steps, agents, generator=generator),
        "done": (torch.rand(steps, agents, generator=generator) < 0.2).to(torch.uint8),
        "action": torch.randint(3, (steps, agents), generator=generator, dtype=torch.int32),
    }


def rows(whole: dict[str, Tensor], time: slice, agents: list[int] | slice = slice(None)) -> dict[str, Tensor]:
    return {name: values[time][:, agents] for name, values in whole.items()}


async def acted(engine: Engine, name: str, ordinals: list[int], whole: dict[str, Tensor]) -> np.ndarray:
    """The same life by single steps; log-probabilities of its actions [T, B]."""
    told = []
    for t in range(len(whole["action"])):
        step = {name: values[t] for name, values in whole.items()}
        log_probs = (await act(engine, name, ordinals, **step, want_log_probs=True)).log_probs
        told.append(np.take_along_axis(log_probs, step["action"].numpy()[:, None].astype(np.int64), 1)[:, 0])
    return np.stack(told)


async def begun(engine: Engine, name: str, ordinals: list[int] | None = None) -> Becoming:
    chosen = None if ordinals is None else np.array(ordinals)
    return await engine.call(lambda pool: Becoming.begin(pool, engine.steppers, name, chosen))


async def become(engine: Engine, name: str, ordinals: list[int] | None, *chunks: LifeChunk) -> list[np.ndarray]:
    becoming = await begun(engine, name, ordinals)
    told = [await engine.drive(becoming.live(chunk, want_log_probs=True)) for chunk in chunks]
    await engine.call(lambda pool: becoming.keep())
    return told


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, list[slice]]:
    """Agents, steps, and a way to cut the steps in chunks."""
    agents, steps = draw(st.sampled_from([1, 2, 3, 7])), draw(st.integers(1, 45))
    marks = sorted(draw(st.sets(st.integers(1, steps - 1), max_size=3))) if steps > 1 else []
    ends = zip([0, *marks], [*marks, steps], strict=True)
    return agents, steps, [slice(first, last) for first, last in ends]


class Plain(Student):
    """A student that steps as it says: no kernel is made for it."""


def plain(model: Student) -> Student:
    copy = Plain(model.config)
    copy.load_state_dict(model.state_dict())
    return copy.eval().requires_grad_(False)


@pytest.mark.parametrize("kind", [plain, lambda model: model], ids=["scanned", "stepped"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts(), st.integers(0, 3))
async def test_a_life_replayed_is_the_life_lived(
    make_engine: MakeEngine, kind: Callable[[Student], Student], cut: tuple[int, int, list[slice]], before: int
) -> None:
    """However it is cut in chunks, whether it is scanned or stepped, for newborns and for those that have lived."""
    agents, steps, chunks = cut
    engine = make_engine(kind(small_student(BOX, actions=3)))
    whole, past = life(steps, agents), life(before, agents, seed=1)
    everyone = list(range(agents))
    for name in ("lived", "became"):
        await start(engine, name, agents + 2, seed=3)
        if before:
            await acted(engine, name, everyone, past)
    expected = await acted(engine, "lived", everyone, whole)
    told = await become(engine, "became", everyone, *(LifeChunk(**rows(whole, chunk)) for chunk in chunks))
    assert np.array_equal(np.concatenate(told), expected)
    assert (await lives(engine, "became")).same_bits(await lives(engine, "lived"))


WIDTHS: dict[str, dict[str, int]] = {
    "default": {},
    "odd": {"width": 48, "heads": 3, "key_width": 7, "value_width": 5, "mlp_width": 51},
}


@pytest.mark.parametrize("sizes", WIDTHS)
async def test_a_long_life_is_scanned_to_the_same_bits(make_engine: MakeEngine, sizes: str) -> None:
    """With the sizes of students and tiles that are served."""
    torch.manual_seed(0)
    model = Student(StudentConfig(BOX, small_student(BOX, 3).config.action_space, **WIDTHS[sizes])).eval()
    engine = make_engine(plain(model), pages=100, tiles=(64, 512, 4096))
    assert engine.steppers["joe"].scan_sizes == (64, 512), "this test is of scans"
    whole = life(700, 1)
    for name in ("lived", "became"):
        await start(engine, name, 1)
    expected = await acted(engine, "lived", [0], whole)
    [told] = await become(engine, "became", None, LifeChunk(**whole))
    assert np.array_equal(told, expected)
    assert (await lives(engine, "became")).same_bits(await lives(engine, "lived"))


@given(st.integers(0, 10_000), st.sets(st.sampled_from([4, 16, 64, 512]), max_size=3))
def test_pieces_take_the_first_steps_and_leave_less_than_one(steps: int, sizes: set[int]) -> None:
    cut = pieces(steps, tuple(sorted(sizes)))
    assert [piece.start for piece in cut] == [0, *(piece.stop for piece in cut)][: len(cut)]
    assert {piece.stop - piece.start for piece in cut} <= sizes
    assert steps - (cut[-1].stop if cut else 0) < min(sizes, default=steps + 1)


async def test_lives_of_different_lengths_go_in_one_stream(make_engine: MakeEngine) -> None:
    engine = make_engine(small_student(BOX, actions=3))
    whole = life(10, 3)
    for name in ("lived", "became"):
        await start(engine, name, 5)
    await acted(engine, "lived", [4, 0, 2], rows(whole, slice(0, 4)))
    await acted(engine, "lived", [2, 4], rows(whole, slice(4, 10), [2, 0]))
    await become(
        engine,
        "became",
        [4, 0, 2],
        LifeChunk(**rows(whole, slice(0, 4))),
        LifeChunk(**rows(whole, slice(4, 10), [2, 0]), ordinals=np.array([2, 4])),
    )
    assert (await lives(engine, "became")).same_bits(await lives(engine, "lived"))


async def test_what_is_left_out_is_as_for_a_single_step(engine: Engine) -> None:
    for name in ("lived", "became"):
        cohort = await start(engine, name, 2)
        await act(engine, name)
        cohort.reward[:] = [1, 2]
    action = torch.tensor([[0, 1], [1, 1], [0, 0]], dtype=torch.int32)
    for row in action:
        await act(engine, "lived", action=row)
    await become(engine, "became", None, LifeChunk(action))
    assert (await lives(engine, "became")).same_bits(await lives(engine, "lived"))
    await become(engine, "became", None, LifeChunk(action, last_reward=torch.tensor([0.5, 2])))
    assert (await lives(engine, "became")).reward.tolist() == [0.5, 2]


async def test_who_lives_a_life_is_busy_and_unchanged_until_it_is_kept(engine: Engine) -> None:
    await start(engine, "joe", 3)
    await act(engine, "joe")
    before, used = await lives(engine, "joe"), await pages_used(engine)
    becoming = await begun(engine, "joe", [2, 0])
    await engine.drive(becoming.live(LifeChunk(torch.ones(5, 2, dtype=torch.int32)), want_log_probs=False))
    with pytest.raises(AgentsBusy, match="lives a recorded life"):
        await act(engine, "joe", [0])
    await act(engine, "joe", [1])
    assert (await lives(engine, "joe", [0, 2])).page.equal(before.page[[0, 2]])
    await engine.drive(becoming.drop())
    assert (await lives(engine, "joe", [0, 2])).step.tolist() == [1, 1]
    assert await pages_used(engine) == used
    await act(engine, "joe")


async def test_who_leaves_in_the_middle_of_a_chunk_leaves_the_agents_as_they_were(engine: Engine) -> None:
    await start(engine, "joe", 30)
    await act(engine, "joe")
    before, used = await lives(engine, "joe"), await pages_used(engine)
    becoming = await begun(engine, "joe")
    chunk = LifeChunk(torch.ones(200, 30, dtype=torch.int32))
    living = engine.drive(becoming.live(chunk, want_log_probs=False))
    dropped = engine.drive(becoming.drop())
    # Asked for in this order, as one whose client left in the middle.
    lived = await asyncio.gather(living, dropped)
    assert lived == [None, None]
    assert (await lives(engine, "joe")).same_bits(before)
    assert await pages_used(engine) == used
    await act(engine, "joe")


GOOD = life(4, 2)
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "action beyond": ({"action": ("set", (2, 1), 3)}, "action 3 in row 5 of the life of agent 0 is not in Discrete(3)"),
    "action below": ({"action": ("set", (0, 0), -1)}, "action -1 in row 3 of the life of agent 7 is not in"),
    "reward not finite": ({"reward": ("set", (3, 0), np.nan)}, "reward nan in row 6 of the life of agent 7 is not"),
    "done of two": ({"done": ("set", (1, 1), 2)}, "done 2 in row 4 of the life of agent 0 is not in Discrete(2)"),
    "observation outside": (
        {"observation": ("set", (1, 0, 2), 1.5)},
        "observation 1.5 in row 4 of the life of agent 7",
    ),
    "last reward": ({"last_reward": torch.tensor([0, torch.inf])}, "last_reward inf in row 6 of the life of agent 0"),
    "no observation": ({"observation": None}, "observations are missing"),
    "no steps": ({"action": GOOD["action"][:0]}, "action has shape [0, 2], wanted is [steps, 2 agents]"),
    "other agents": ({"action": GOOD["action"][:, :1]}, "action has shape [4, 1]"),
    "one axis": ({"action": GOOD["action"][0]}, "action has shape [2]"),
    "actions of another type": (
        {"action": GOOD["action"].long()},
        "action is torch.int64 [4, 2], wanted is torch.int32",
    ),
    "rewards of fewer steps": ({"reward": GOOD["reward"][:3]}, "reward is torch.float32 [3, 2], wanted is"),
    "done of another type": ({"done": GOOD["done"].float()}, "done is torch.float32"),
    "last rewards of others": ({"last_reward": torch.zeros(3)}, "last_reward is torch.float32 [3], wanted is"),
    "a stranger": ({"ordinals": np.array([7, 1])}, "agent 1 is not one of those that the stream began with"),
    "an agent twice": ({"ordinals": np.array([7, 7])}, "names no agent, or one more than once"),
    "nobody": ({"ordinals": np.array([], np.int64)}, "names no agent, or one more than once"),
}


def changed(changes: dict[str, Any]) -> LifeChunk:
    fields: dict[str, Any] = dict(GOOD)
    for name, change in changes.items():
        if isinstance(change, tuple):
            fields[name] = fields[name].clone()
            fields[name][change[1]] = change[2]
        else:
            fields[name] = change
    return LifeChunk(**fields)


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_life_is_refused_by_row_and_value(make_engine: MakeEngine, what: str) -> None:
    changes, said = BAD[what]
    engine = make_engine(small_student(BOX, actions=3))
    await start(engine, "joe", 9)
    becoming = await begun(engine, "joe", [7, 0])
    await engine.drive(becoming.live(LifeChunk(**rows(GOOD, slice(0, 3))), want_log_probs=False))
    with pytest.raises(InvalidArgument) as refused:
        await engine.drive(becoming.live(changed(changes), want_log_probs=False))
    assert said in str(refused.value)
    await engine.drive(becoming.drop())
    assert await pages_used(engine) == 0
    assert (await lives(engine, "joe")).step.tolist() == [0] * 9


async def test_a_life_that_finds_no_room_leaves_the_agents_as_they_were(make_engine: MakeEngine) -> None:
    engine = make_engine(pages=3)
    await start(engine, "joe", 2)
    await act(engine, "joe")
    before = await lives(engine, "joe")
    becoming = await begun(engine, "joe")
    with pytest.raises(PoolFull):
        await engine.drive(becoming.live(LifeChunk(torch.ones(3, 2, dtype=torch.int32)), want_log_probs=False))
    await engine.drive(becoming.drop())
    assert (await lives(engine, "joe")).same_bits(before)
    assert await pages_used(engine) == 2
