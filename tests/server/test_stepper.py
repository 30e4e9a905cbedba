"""The stepper: which tiles it takes, and what it does about a machine that rounds by place."""

import pytest
import torch
from plures_server import student_stepper as stepper_module
from plures_server.crew import Crew
from plures_server.errors import InvalidArgument
from plures_server.pages import AllHot, Pages
from plures_server.student_stepper import StudentStepper
from plures_students.model import Inputs, Student
from torch import Tensor

from .helpers import CPU, served, small_student


class RoundsByRows(Student):
    """As on a machine whose matrix products depend on how many rows there are."""

    def step(self, pages: Tensor, read_B: Tensor, write_B: Tensor, inputs: Inputs) -> Tensor:
        return super().step(pages, read_B, write_B, inputs) + 1e-6 * (len(read_B) == 16)


class RoundsByPlace(Student):
    """As on a machine whose matrix products depend on where in the batch a row stands."""

    def step(self, pages: Tensor, read_B: Tensor, write_B: Tensor, inputs: Inputs) -> Tensor:
        place_B1 = torch.arange(len(read_B)).unsqueeze(1)
        return super().step(pages, read_B, write_B, inputs) + 1e-6 * (place_B1 == 3)


def stepper(model: Student) -> StudentStepper:
    crew = Crew(CPU)
    try:
        return StudentStepper(served(model), Pages(AllHot(64, model.config.page_floats, CPU)), crew, (4, 16, 64))
    finally:
        crew.close()


def test_tiles_that_agree_are_taken() -> None:
    assert stepper(small_student()).tiles == (4, 16, 64)


def test_large_states_are_tried_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper_module, "TRIAL_BYTES", 5 * 256)
    assert stepper(small_student()).tiles == (4, 16, 64)
    with pytest.raises(InvalidArgument, match="cannot be served here"):
        stepper(RoundsByPlace(small_student().config).requires_grad_(False))


def test_a_tile_that_rounds_otherwise_is_left_out() -> None:
    assert stepper(RoundsByRows(small_student().config).requires_grad_(False)).tiles == (4, 64)


def test_a_machine_that_rounds_by_place_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="student 'joe' cannot be served here"):
        stepper(RoundsByPlace(small_student().config).requires_grad_(False))


@pytest.mark.parametrize("count", [1, 3, 4, 5, 31, 32, 33, 128, 1000])
def test_rows_are_those_of_the_tiles_that_batches_are(count: int) -> None:
    made = stepper(small_student())
    tiles = [tile for part in made.parts(count) for batch in made.batches(part) for tile in batch]
    padded = (next((rows for rows in made.tiles if rows >= tile.stop - tile.start), made.tiles[-1]) for tile in tiles)
    assert made.rows(count) == sum(padded)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 31, 32, 33, 128, 1000])
def test_batches_hold_every_row_once(count: int) -> None:
    tiles = [tile for batch in stepper(small_student()).batches(slice(0, count)) for tile in batch]
    assert [row for tile in tiles for row in range(count)[tile]] == list(range(count))
    assert all(tile.stop - tile.start <= 64 for tile in tiles)
