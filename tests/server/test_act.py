"""Acts: what they perceive, how they join in waves, and what becomes of those that are refused or fail."""

import asyncio
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from plures_server.act_request import MAX_AGENTS
from plures_server.engine import Engine
from plures_server.errors import AgentsBusy, InvalidArgument, PluresError, PoolFull, UnknownAgent, UnknownCohort
from plures_students.model import NO_ACTION, Inputs, Student
from torch import Tensor

from .conftest import MakeEngine
from .helpers import Lives, act, forked, lives, small_student, start
from .test_engine import held_up

BOX = Box(-1, 1, (3,))


class Witness(Student):
    """Keeps what it was told about the agents of each tile."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: list[Inputs] = []
        self.rows: list[int] = []

    def step(self, pages: Tensor, read_B: Tensor, write_B: Tensor, inputs: Inputs) -> Tensor:
        rows = int((write_B >= 0).sum())
        self.rows.append(rows)
        self.seen.append(Inputs(*(x[:rows].clone() for x in vars(inputs).values())))
        return super().step(pages, read_B, write_B, inputs)


class Fragile(Student):
    """Fails when it is told to."""

    broken = False

    def step(self, pages: Tensor, read_B: Tensor, write_B: Tensor, inputs: Inputs) -> Tensor:
        if self.broken:
            raise RuntimeError("out of memory, say")
        return super().step(pages, read_B, write_B, inputs)


@pytest.fixture
def witness(make_engine: MakeEngine) -> tuple[Engine, Witness]:
    model = Witness(small_student(BOX).config).eval().requires_grad_(False)
    engine = make_engine(model, tiles=(16,))
    # What it saw when the engine tried its tiles.
    model.seen.clear()
    model.rows.clear()
    return engine, model


def seen(count: int) -> Tensor:
    return torch.zeros(count, 3)


async def test_an_agent_perceives_what_it_is_told(witness: tuple[Engine, Witness]) -> None:
    engine, model = witness
    await start(engine, "joe", 2)
    first = await act(engine, "joe", observation=seen(2), action=torch.tensor([1, 0], dtype=torch.int32))
    assert first.action.tolist() == [1, 0], "forced actions are the ones taken"
    observation = torch.tensor([[0.1, 0.2, 0.3], [-1, 0, 1]])
    done = torch.tensor([0, 1], dtype=torch.uint8)
    await act(engine, "joe", observation=observation, reward=torch.tensor([0.5, -2]), done=done)
    newborn, older = model.seen
    assert newborn.previous_action.tolist() == [NO_ACTION, NO_ACTION]
    assert newborn.reward.tolist() == newborn.done.tolist() == [0, 0]
    assert torch.equal(older.observation, observation)
    assert older.previous_action.tolist() == [1, 0]
    assert older.reward.tolist() == [0.5, -2]
    assert older.done.tolist() == [0, 1]


async def test_a_reward_left_out_is_the_one_a_run_gave_and_only_once(witness: tuple[Engine, Witness]) -> None:
    engine, model = witness
    cohort = await start(engine, "joe", 2)
    cohort.reward[:] = [1, 0.25]
    for _ in range(2):
        await act(engine, "joe", observation=seen(2))
    assert [inputs.reward.tolist() for inputs in model.seen] == [[1, 0.25], [0, 0]]


async def test_log_probabilities_are_those_before_the_choice(engine: Engine) -> None:
    await start(engine, "joe", 50)
    plain = await act(engine, "joe")
    await forked(engine, "joe", "jane")
    told = await act(engine, "joe", want_log_probs=True)
    forced = await act(engine, "jane", want_log_probs=True, action=torch.ones(50, dtype=torch.int32))
    assert plain.log_probs is None
    assert np.allclose(np.exp(told.log_probs).sum(1), 1)
    assert np.array_equal(told.log_probs, forced.log_probs)


async def test_requests_for_the_same_agent_are_carried_out_in_order(witness: tuple[Engine, Witness]) -> None:
    engine, model = witness
    await start(engine, "joe", 1)
    with held_up(engine):
        sent = [act(engine, "joe", observation=torch.full((1, 3), n / 100)) for n in range(50)]
    await asyncio.gather(*sent)
    assert torch.cat([inputs.observation[:, 0] for inputs in model.seen]).tolist() == pytest.approx(np.arange(50) / 100)
    assert (await lives(engine, "joe")).step.tolist() == [50]


async def test_requests_for_different_agents_go_together(witness: tuple[Engine, Witness]) -> None:
    engine, model = witness
    await start(engine, "joe", 6)
    await start(engine, "jane", 3)
    with held_up(engine):
        sent = [
            act(engine, cohort, part, observation=seen(len(part)))
            for cohort, part in (("joe", [4]), ("jane", [0, 2]), ("joe", [0, 5]), ("joe", [5]), ("jane", [1]))
        ]
    answers = await asyncio.gather(*sent)
    assert [len(answer.action) for answer in answers] == [1, 2, 2, 1, 1]
    # The fourth names an agent of the third, and waits; who came after it and names nobody of its own does not.
    assert model.rows == [6, 1]


async def test_who_waits_is_not_overtaken_by_who_names_the_same_agent(witness: tuple[Engine, Witness]) -> None:
    engine, model = witness
    await start(engine, "joe", 3)
    with held_up(engine):
        sent = [
            act(engine, "joe", part, observation=torch.full((len(part), 3), n / 10))
            for n, part in enumerate(([0], [0, 1], [1], [2]))
        ]
    await asyncio.gather(*sent)
    # The third names an agent of the second, which waits for the first; the fourth goes at once.
    assert [inputs.observation[:, 0].tolist() for inputs in model.seen] == [
        pytest.approx(told) for told in ([0, 0.3], [0.1, 0.1], [0.2])
    ]


async def test_requests_of_two_students_go_in_a_wave_each(make_engine: MakeEngine) -> None:
    models = [Witness(small_student(BOX, seed=n).config).eval().requires_grad_(False) for n in range(2)]
    engine = make_engine(*models, tiles=(16,))
    for name, model in zip(("joe", "jane"), models, strict=True):
        await start(engine, name, 8, student=name)
        model.rows.clear()
    with held_up(engine):
        sent = [act(engine, name, [n], observation=seen(1)) for n in range(8) for name in ("joe", "jane")]
    await asyncio.gather(*sent)
    assert [model.rows for model in models] == [[8], [8]]


async def test_a_wave_waits_for_those_who_went_together_before_and_no_longer(make_engine: MakeEngine) -> None:
    model = Witness(small_student(BOX).config).eval().requires_grad_(False)
    engine = make_engine(model, tiles=(16,), linger_us=60_000_000)
    await start(engine, "joe", 3)
    # Alone, nobody is kept waiting, whatever the linger.
    await act(engine, "joe", [0], observation=seen(1))
    with held_up(engine):
        sent = [act(engine, "joe", [n], observation=seen(1)) for n in range(3)]
    await asyncio.gather(*sent)
    model.rows.clear()
    first = act(engine, "joe", [0], observation=seen(1))
    assert await engine.call(lambda pool: model.rows) == [], "it waits, and what is asked meanwhile is done"
    await asyncio.gather(first, *(act(engine, "joe", [n], observation=seen(1)) for n in (1, 2)))
    assert model.rows == [3]


async def test_a_wave_that_waited_in_vain_goes_and_the_next_waits_for_fewer(make_engine: MakeEngine) -> None:
    engine = make_engine(linger_us=1000)
    await start(engine, "joe", 3)
    with held_up(engine):
        sent = [act(engine, "joe", [n]) for n in range(3)]
    await asyncio.gather(*sent)
    assert engine._together == 3
    await act(engine, "joe", [0])
    assert engine._together == 1


async def test_students_do_not_mix(make_engine: MakeEngine) -> None:
    models = [Witness(small_student(BOX, seed=n).config) for n in range(2)]
    engine = make_engine(*(model.eval().requires_grad_(False) for model in models))
    for name in ("joe", "jane"):
        await start(engine, name, 2, student=name)
    for model in models:
        model.rows.clear()
    with held_up(engine):
        sent = [act(engine, name, observation=seen(2)) for name in ("joe", "jane", "joe", "jane")]
    await asyncio.gather(*sent)
    assert [model.rows for model in models] == [[2, 2], [2, 2]]


BAD_REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "observation missing": ({}, "observations are missing"),
    "observation of another dtype": ({"observation": seen(2).double()}, "observation is torch.float64"),
    "observation of another shape": ({"observation": torch.zeros(2, 4)}, "observation is torch.float32 [2, 4]"),
    "too few observations": ({"observation": seen(1)}, "observation has shape [1, 3] for 2 agents"),
    "observation without axes": ({"observation": torch.tensor(1.0)}, "observation has shape [] for 2 agents"),
    "observation not finite": ({"observation": seen(2) / 0}, "observation nan of row 0"),
    "observation out of range": ({"observation": seen(2) + 2}, "observation 2.0 of row 0"),
    "rewards of another dtype": ({"reward": torch.zeros(2).double()}, "reward is torch.float64"),
    "rewards of another rank": ({"reward": torch.zeros(2, 1)}, "reward is torch.float32 [2, 1]"),
    "a reward that is no number": ({"reward": torch.tensor([0, torch.nan])}, "reward nan of row 1"),
    "an infinite reward": ({"reward": torch.tensor([-torch.inf, 0])}, "reward -inf of row 0"),
    "too many rewards": ({"reward": torch.zeros(3)}, "reward has shape [3] for 2 agents"),
    "done of another dtype": ({"done": torch.zeros(2)}, "done is torch.float32"),
    "done of another rank": ({"done": torch.zeros(2, 2, dtype=torch.uint8)}, "done is torch.uint8 [2, 2]"),
    "done beyond 1": ({"done": torch.tensor([1, 2], dtype=torch.uint8)}, "done 2 of row 1 is neither 0 nor 1"),
    "an action beyond the last": ({"action": torch.tensor([0, 2], dtype=torch.int32)}, "action 2 of row 1"),
    "an action below the first": ({"action": torch.tensor([-1, 0], dtype=torch.int32)}, "action -1 of row 0"),
    "actions of another dtype": ({"action": torch.zeros(2, dtype=torch.int64)}, "action is torch.int64"),
    "too few actions": ({"action": torch.zeros(1, dtype=torch.int32)}, "action has shape [1] for 2 agents"),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
async def test_a_request_that_makes_no_sense_changes_nothing(make_engine: MakeEngine, what: str) -> None:
    engine = make_engine(small_student(BOX))
    perceived, said = BAD_REQUESTS[what]
    if what != "observation missing":
        perceived = {"observation": seen(2), **perceived}
    await start(engine, "joe", 3)
    await act(engine, "joe", observation=seen(3))
    before, used = await lives(engine, "joe"), await pages_used(engine)
    with held_up(engine):
        bad = act(engine, "joe", [0, 1], **perceived)
        good = act(engine, "joe", [2], observation=seen(1))
    with pytest.raises(InvalidArgument) as refused:
        await bad
    assert said in str(refused.value)
    await good
    after = await lives(engine, "joe")
    assert Lives(after.page[:2], after.step[:2], after.last_action[:2], after.reward[:2]).same_bits(
        Lives(before.page[:2], before.step[:2], before.last_action[:2], before.reward[:2])
    )
    assert after.step.tolist() == [1, 1, 2]
    assert await pages_used(engine) == used
    await act(engine, "joe", observation=seen(3))


async def test_selections_that_make_no_sense_are_refused(engine: Engine) -> None:
    cohort = await start(engine, "joe", 5)
    cohort.busy[4] = True
    wrong: list[tuple[str, list[int] | None, type[PluresError]]] = [
        ("jane", [0], UnknownCohort),
        ("joe", [], InvalidArgument),
        ("joe", [5], UnknownAgent),
        ("joe", [1, 2**32 - 1], UnknownAgent),
        ("joe", [1, 2, 1], InvalidArgument),
        ("joe", None, AgentsBusy),
        ("joe", [3, 4], AgentsBusy),
    ]
    for name, ordinals, error in wrong:
        with pytest.raises(error):
            await act(engine, name, ordinals)
    assert cohort.busy.tolist() == [False] * 4 + [True]


async def test_more_agents_than_go_in_a_request_are_refused(engine: Engine) -> None:
    await start(engine, "joe", MAX_AGENTS + 1)
    with pytest.raises(InvalidArgument, match="262,145 agents in one request; at most 262,144"):
        await act(engine, "joe")


async def test_an_answer_that_would_not_fit_in_a_message_is_refused_before_the_step(make_engine: MakeEngine) -> None:
    engine = make_engine(small_student(actions=1000))
    await start(engine, "joe", 4000)
    with pytest.raises(InvalidArgument, match="with 1000 actions, ask for 3,670 agents at once"):
        await act(engine, "joe", want_log_probs=True)
    assert (await lives(engine, "joe")).step.max() == 0
    assert (await act(engine, "joe", range(3670), want_log_probs=True)).log_probs.shape == (3670, 1000)


async def pages_used(engine: Engine) -> int:
    return await engine.call(lambda pool: sum(pool.pages(s).used for s in pool.students.all()))


async def test_a_full_pool_refuses_and_changes_nothing(make_engine: MakeEngine) -> None:
    engine = make_engine(pages=4)
    await start(engine, "joe", 6)
    with pytest.raises(PoolFull, match="6 more states of 256 bytes are needed and 4 are free"):
        await act(engine, "joe")
    assert (await lives(engine, "joe")).step.tolist() == [0] * 6
    await act(engine, "joe", [0, 1, 2, 3])
    with pytest.raises(PoolFull):
        await act(engine, "joe", [3, 4])
    assert (await lives(engine, "joe")).step.tolist() == [1, 1, 1, 1, 0, 0]
    await engine.call(lambda pool: pool.retire("joe", np.array([0, 1])))
    await act(engine, "joe", [4, 5])
    assert await pages_used(engine) == 4


async def test_what_goes_one_after_the_other_goes_when_sent_at_once(make_engine: MakeEngine) -> None:
    """Of two that share a page with the state in which they part, each needs a fresh one."""
    engine = make_engine(pages=3)
    await start(engine, "parent", 1)
    await act(engine, "parent")
    await forked(engine, "parent", "joe", copies=2)
    await engine.call(lambda pool: pool.retire("parent", None))
    with held_up(engine):
        sent = [act(engine, "joe", [0]), act(engine, "joe", [1])]
    await asyncio.gather(*sent)
    assert (await lives(engine, "joe")).step.tolist() == [2, 2]


async def test_a_model_that_fails_fails_its_requests_and_frees_their_agents(make_engine: MakeEngine) -> None:
    model = Fragile(small_student().config).eval().requires_grad_(False)
    engine = make_engine(model)
    await start(engine, "joe", 40)
    model.broken = True
    with held_up(engine):
        sent = [act(engine, "joe", range(38)), act(engine, "joe", [39])]
        abandoned = act(engine, "joe", [38])
        abandoned.cancel()
    for one in sent:
        with pytest.raises(RuntimeError, match="out of memory, say"):
            await one
    assert await pages_used(engine) == 0
    model.broken = False
    await act(engine, "joe")
    assert (await lives(engine, "joe")).step.tolist() == [1] * 40


async def test_a_request_nobody_can_prepare_fails_alone(engine: Engine) -> None:
    """Whatever a request does to the engine, the next ones are carried out."""
    await start(engine, "joe", 2)
    with held_up(engine):
        broken, good = act(engine, "joe", reward="not a tensor"), act(engine, "joe")
    with pytest.raises(AttributeError):
        await broken
    assert len((await good).action) == 2


async def test_an_act_whose_sender_left_before_its_turn_is_not_carried_out(engine: Engine) -> None:
    cohort = await start(engine, "joe", 2)
    with held_up(engine):
        left = act(engine, "joe")
        left.cancel()
        # What is cancelled reaches the request in the loop's next turn.
        await asyncio.sleep(0)
    await act(engine, "joe", [1])
    assert (await lives(engine, "joe")).step.tolist() == [0, 1]
    assert not cohort.busy.any()


async def test_the_answers_of_a_wave_wake_their_loop_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    await start(engine, "joe", 50)
    loop, wakes = asyncio.get_running_loop(), []
    wake = loop.call_soon_threadsafe
    with held_up(engine):
        sent = [act(engine, "joe", [n]) for n in range(50)]
        monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *work: wakes.append(1) or wake(*work))
    await asyncio.gather(*sent)
    assert len(wakes) == 1
