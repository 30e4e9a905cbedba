"""The fused step is the student's own step: to rounding, and with bits that depend on nothing else."""

import copy
import threading

import pytest
import torch
from gymnasium.spaces import Box, Discrete
from plures_kernels import InvalidArgument
from plures_students.config import StudentConfig
from plures_students.fused import FusedStep, fused
from plures_students.model import Inputs, Student
from torch import Tensor

THREE = Discrete(3)


def student(space: Discrete | Box = THREE, actions: int = 3, **sizes: int) -> Student:
    model = Student(StudentConfig(space, Discrete(actions), **{"width": 16, "mlp_width": 24, **sizes}))
    for weight in model.parameters():  # gains and biases are learned, too
        weight.data += 0.1 * torch.randn_like(weight)
    return model.eval().requires_grad_(False)


def inputs(model: Student, rows: int) -> Inputs:
    space, actions = model.config.observation_space, model.config.actions
    observation = torch.stack([torch.as_tensor(space.sample()) for _ in range(rows)])
    done = torch.randint(2, (rows,), dtype=torch.uint8)
    return Inputs(observation, torch.randint(-1, actions, (rows,), dtype=torch.int32), torch.randn(rows), done)


def rows_of(seen: Inputs, rows: Tensor | list[int]) -> Inputs:
    return Inputs(*(x[rows] for x in (seen.observation, seen.previous_action, seen.reward, seen.done)))


def in_float64(model: Student) -> Student:
    truth = copy.deepcopy(model).double()
    encode = truth.encode
    truth.encode = lambda seen: encode(seen).double()  # type: ignore[method-assign]
    return truth


@pytest.mark.parametrize("rows", [1, 15, 16, 45])
@pytest.mark.parametrize(
    ("space", "actions", "sizes"),
    [
        (Discrete(3), 3, {}),
        (Discrete(1), 1, {"layers": 1, "heads": 9, "key_width": 5, "value_width": 3}),
        (Box(-9, 9, (2, 2)), 17, {"width": 32, "heads": 1, "key_width": 16, "value_width": 24, "mlp_width": 16}),
    ],
    ids=["small", "odd", "uneven"],
)
def test_a_fused_step_agrees_with_the_layers_in_float64(
    space: Discrete | Box, actions: int, sizes: dict[str, int], rows: int
) -> None:
    # A kernel takes seconds to compile, so shapes are few.
    model = student(space, actions, **sizes)
    pages, seen = torch.randn(2 * rows, model.config.page_floats), inputs(model, rows)
    place = torch.randperm(2 * rows, dtype=torch.int32)
    read, write = place[:rows], place[:rows].clone()
    write[::3] = place[rows : 2 * rows][::3]
    true_pages = pages.double()
    truth = in_float64(model).step(true_pages, read, write, seen)
    logits = FusedStep(model)(pages, read, write, seen)
    torch.testing.assert_close(logits.double(), truth, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pages.double(), true_pages, rtol=1e-4, atol=1e-5)


def test_an_agent_steps_to_the_same_bits_alone_and_among_others() -> None:
    model = student()
    step, pages, seen = FusedStep(model), torch.randn(53, model.config.page_floats), inputs(model, 53)
    together, order = pages.clone(), torch.randperm(53)
    logits = step(together, torch.arange(53), torch.arange(53), seen)
    shuffled = pages.clone()
    assert torch.equal(step(shuffled, order, order, rows_of(seen, order)), logits[order])
    assert torch.equal(shuffled, together)
    for row in (0, 15, 16, 52):
        alone, slot = pages.clone(), torch.tensor([row])
        assert torch.equal(step(alone, slot, slot, rows_of(seen, [row]))[0], logits[row])
        assert torch.equal(alone[row], together[row])


def test_padding_touches_no_page() -> None:
    model = student()
    pages, seen = torch.randn(20, model.config.page_floats), inputs(model, 20)
    before, write = pages.clone(), torch.arange(20)
    write[[0, 7, 19]] = -1
    logits = FusedStep(model)(pages, torch.arange(20), write, seen)
    assert torch.equal(pages[[0, 7, 19]], before[[0, 7, 19]])
    assert not (pages == before).all(dim=1)[write >= 0].any()
    assert logits.isfinite().all()


def test_no_rows_are_no_step() -> None:
    model = student()
    nobody, seen = torch.empty(0, dtype=torch.int32), rows_of(inputs(model, 1), [])
    assert FusedStep(model)(torch.zeros(2, model.config.page_floats), nobody, nobody, seen).shape == (
        0,
        3,
    )


def test_two_threads_may_step_at_once() -> None:
    model = student()
    step, pages, seen = FusedStep(model), torch.randn(400, model.config.page_floats), inputs(model, 200)
    halves = torch.arange(400).split(200)
    alone = pages.clone()
    expected = [step(alone, half, half, seen) for half in halves]
    results: dict[int, Tensor] = {}

    def work(index: int) -> None:
        results[index] = step(pages, halves[index], halves[index], seen)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(results[index], expected[index]) for index in range(2))
    assert torch.equal(pages, alone)


def test_what_is_not_a_number_stays_with_its_agent() -> None:
    model = student()
    pages, seen = torch.randn(16, model.config.page_floats), inputs(model, 16)
    seen.reward[3] = torch.nan
    logits = FusedStep(model)(pages, torch.arange(16), torch.arange(16), seen)
    assert logits[3].isnan().all()
    assert logits[[row for row in range(16) if row != 3]].isfinite().all()


def test_bad_slots_are_refused_before_anything_is_written() -> None:
    model = student()
    pages, seen = torch.randn(4, model.config.page_floats), inputs(model, 2)
    before = pages.clone()
    with pytest.raises(InvalidArgument, match="rows 0 and 1 both write page 2"):
        FusedStep(model)(pages, torch.tensor([2, 2]), torch.tensor([2, 2]), seen)
    with pytest.raises(InvalidArgument, match="the pool has pages 0 to 3"):
        FusedStep(model)(pages, torch.tensor([0, 4]), torch.tensor([0, 4]), seen)
    assert torch.equal(pages, before)


def test_a_student_of_another_dtype_steps_by_itself() -> None:
    assert isinstance(fused(student()), FusedStep)
    double = student().double()
    assert fused(double) == double.step
