"""The student network: training's scan and serving's step are the same learner."""

import math
from collections.abc import Iterator

import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_kernels import RULES
from plures_students.config import StudentConfig
from plures_students.model import NO_ACTION, Inputs, Student
from torch import Tensor

OBSERVATIONS = {"discrete": Discrete(3), "multidiscrete": MultiDiscrete([2, 3]), "box": Box(-9, 9, (2, 2))}


def student(observation: str = "discrete", seed: int = 0, **sizes: int) -> Student:
    torch.manual_seed(seed)
    sizes = {"width": 16, "layers": 2, "heads": 2, "key_width": 8, "value_width": 8, "mlp_width": 16, **sizes}
    return Student(StudentConfig(OBSERVATIONS[observation], Discrete(4), **sizes)).eval()


def random_lives(model: Student, lives: int, steps: int) -> Inputs:
    """Newborns that act at random."""
    space, actions = model.config.observation_space, model.config.actions
    observation = torch.stack([torch.as_tensor(space.sample()) for _ in range(lives * steps)])
    action = torch.randint(0, actions, (lives, steps))
    previous = torch.cat([torch.full((lives, 1), NO_ACTION), action[:, :-1]], dim=1)
    reward = torch.randn(lives, steps)
    done = torch.rand(lives, steps) < 0.2
    return Inputs(observation.reshape(lives, steps, *(space.shape or ())), previous, reward, done)


def at(inputs: Inputs, t: int) -> Inputs:
    return Inputs(*(x[:, t] for x in (inputs.observation, inputs.previous_action, inputs.reward, inputs.done)))


def step_by_step(model: Student, pages: Tensor, slots: Tensor, inputs: Inputs) -> Iterator[Tensor]:
    for t in range(inputs.reward.shape[1]):
        yield model.step(pages, slots, slots, at(inputs, t))


def as_pages(states: list[Tensor]) -> Tensor:
    """Fast weights [B, H, S] a layer as pages [B, page_floats]."""
    return torch.stack(states, dim=1).flatten(1)


@settings(max_examples=15)
@given(
    rule=st.sampled_from(sorted(RULES)),
    think=st.integers(0, 2),
    observation=st.sampled_from(sorted(OBSERVATIONS)),
    seed=st.integers(0, 1000),
    steps=st.integers(1, 40),
    layers=st.integers(1, 3),
    heads=st.integers(1, 3),
    value_width=st.sampled_from([4, 8]),
)
def test_a_scan_is_repeated_steps(
    rule: str, think: int, observation: str, seed: int, steps: int, layers: int, heads: int, value_width: int
) -> None:
    model = student(
        observation, seed, rule=rule, think=think, window=5, layers=layers, heads=heads, value_width=value_width
    )
    lives = random_lives(model, 3, steps)
    slots = torch.tensor([4, 1, 2], dtype=torch.int32)
    pages = torch.full((6, model.config.page_floats), torch.nan)
    pages[slots] = 0
    with torch.no_grad():
        logits_BTA, states = model(lives)
        stepped_BTA = torch.stack(list(step_by_step(model, pages, slots, lives)), dim=1)
    torch.testing.assert_close(stepped_BTA, logits_BTA, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pages[slots], as_pages(states), rtol=1e-4, atol=1e-5)
    assert pages[[0, 3, 5]].isnan().all(), "a page of nobody was written"


def test_a_scan_goes_on_where_another_ended() -> None:
    model = student()
    lives = random_lives(model, 2, 24)
    whole_BTA, last = model(lives)
    parts = [Inputs(*(x[:, part] for x in vars(lives).values())) for part in (slice(0, 7), slice(7, 24))]
    first_BTA, states = model(parts[0])
    second_BTA, states = model(parts[1], states)
    torch.testing.assert_close(torch.cat([first_BTA, second_BTA], dim=1), whole_BTA)
    torch.testing.assert_close(as_pages(states), as_pages(last))


def test_a_step_moves_a_state_from_one_page_to_another() -> None:
    model = student()
    pages = torch.randn(3, model.config.page_floats)
    parent, in_place = pages[0].clone(), pages.clone()
    inputs = at(random_lives(model, 1, 1), 0)
    forked = model.step(pages, torch.tensor([0]), torch.tensor([2]), inputs)
    owned = model.step(in_place, torch.tensor([0]), torch.tensor([0]), inputs)
    assert torch.equal(forked, owned)
    assert torch.equal(pages[2], in_place[0])
    assert torch.equal(pages[0], parent)


def test_a_padding_row_touches_no_page() -> None:
    model = student()
    pages = torch.randn(2, model.config.page_floats)
    before = pages.clone()
    inputs = at(random_lives(model, 2, 1), 0)
    model.step(pages, torch.tensor([-1, 1]), torch.tensor([-1, 1]), inputs)
    assert torch.equal(pages[0], before[0])
    assert not torch.equal(pages[1], before[1])


def test_every_slow_weight_is_learned() -> None:
    model = student(think=1)
    logits_BTA, _ = model(random_lives(model, 4, 12))
    logits_BTA.log_softmax(-1)[..., 0].mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name


@pytest.mark.parametrize("what", ["observation", "previous_action", "reward", "done"])
def test_everything_perceived_matters(what: str) -> None:
    model = student()
    lives = random_lives(model, 1, 3)
    other = {**vars(lives), what: vars(lives)[what].clone()}
    other[what][0, 1] = {"observation": 2 - lives.observation[0, 1], "previous_action": 3}.get(what, 1)
    if what == "observation" and other[what][0, 1] == lives.observation[0, 1]:
        other[what][0, 1] = 0
    before, after = model(lives)[0], model(Inputs(**other))[0]
    assert torch.equal(before[:, 0], after[:, 0]), "the past cannot depend on it"
    assert not torch.equal(before[:, 1:], after[:, 1:])


def test_a_reward_means_something_else_after_another_action() -> None:
    model = student()
    lives = random_lives(model, 1, 1)
    encoded = [
        model.encode(Inputs(lives.observation, torch.tensor([[action]]), torch.tensor([[2.0]]), lives.done))
        for action in (0, 1)
    ]
    by_action = slice(3 + 5, 3 + 5 + 4)
    assert [row[0, 0, by_action].tolist() for row in encoded] == [[2, 0, 0, 0], [0, 2, 0, 0]]
    assert [row[0, 0, -2:].tolist() for row in encoded] == [[2, float(lives.done)]] * 2, "the reward alone, and done"


def test_a_newborn_has_no_previous_action() -> None:
    model = student()
    lives = random_lives(model, 1, 1)
    encoded = model.encode(lives)
    assert encoded.shape[-1] == model.config.input_width
    assert encoded[0, 0, 3 : 3 + 5].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("heads", [1, 2, 8, 64])
def test_a_new_student_is_finite_however_many_heads_it_has(heads: int) -> None:
    model = student(heads=heads)
    assert all(weight.isfinite().all() for weight in model.parameters())
    half_life_1H = math.log(0.5) / model.memories[0].inputs(torch.zeros(1, 16))[3]
    torch.testing.assert_close(
        half_life_1H[0, :5], torch.tensor([7.0, 70, 700, 7000, 70000])[:heads], rtol=1e-3, atol=0
    )
