"""The stepper of our own students: tiles that are not full are padded, sizes are those that agree to the bit.

Shapes: B agents of a wave, R rows of a tile, A actions, T steps, F floats of a page.
"""

from functools import cached_property

import torch
from plures_students.model import Inputs
from torch import Tensor

from .crew import Crew
from .errors import InvalidArgument
from .pages import Pages
from .scanning import agreeing, scan
from .stepper import TILES, Stepper
from .students import ServedStudent
from .telemetry.meter import Meters
from .wave import Wave

TRIAL_BYTES = 64 << 20
"""States that a trial of tiles takes; in the rows beyond them it tries all but the memories."""
PADDING = -1
"""Slot of a row that stands for no agent."""


class StudentStepper(Stepper):
    """Steps the agents of a checkpoint in this process."""

    def __init__(
        self,
        student: ServedStudent,
        pages: Pages,
        crew: Crew,
        tiles: tuple[int, ...] = TILES,
        meters: Meters | None = None,
    ) -> None:
        super().__init__(student, pages, crew, tiles, meters)
        self._served = student
        self.tiles = self._agreeing(tiles)

    @cached_property
    def scan_sizes(self) -> tuple[int, ...]:  # type: ignore[override]
        return agreeing(self._served, self.tiles, self.pages.data.device)

    def scan(self, state_F: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
        return scan(self._served.model, state_F, inputs)

    def logits(self, wave: Wave, observation: Tensor, reward: Tensor, done: Tensor) -> Tensor:
        """Logits [B, A] of at most one tile of agents; their states move from wave.read to wave.write."""
        rows = self._fitting(len(wave))
        read, write = (_padded(x, rows, PADDING) for x in (wave.read, wave.write))
        seen = Inputs(*(_padded(x, rows, 0) for x in (observation, wave.last_action, reward, done)))
        return self._served.step(self.pages.data, read, write, seen)[: len(wave)]

    def _agreeing(self, tiles: tuple[int, ...]) -> tuple[int, ...]:
        """The tile sizes that give the same bits as the largest on this device, found by trying.

        Raises InvalidArgument when, in the largest, a row's bits depend on its place.
        """
        largest = tiles[-1]
        trials: list[Tensor] = []

        def try_all(_: slice) -> None:
            trials.extend(self._trial(rows, largest) for rows in tiles)
            trials.append(self._trial(largest, largest, moved_by=1))

        self.crew.each(try_all, [slice(0, 1)])
        *trials, moved = trials
        if not torch.equal(moved, trials[-1]):
            raise InvalidArgument(
                f"student {self.student.name!r} cannot be served here: this machine rounds a row's products by its "
                "place in the batch; widths that are powers of two avoid that"
            )
        return tuple(rows for rows, trial in zip(tiles, trials, strict=True) if torch.equal(trial, trials[-1]))

    def _trial(self, rows: int, largest: int, moved_by: int = 0) -> Tensor:
        """Logits and states after one random wave of `largest` agents, stepped in tiles of so many rows.

        The agents stand in the wave moved by so many places; their results are in order.
        """
        config, generator = self._served.config, torch.Generator().manual_seed(0)
        device = self.pages.data.device
        stateful = min(largest, TRIAL_BYTES // self.pages.page_bytes + 1)
        pages = torch.randn(stateful, config.page_floats, generator=generator).to(device)
        reward = torch.randn(largest, generator=generator).to(device).roll(moved_by)
        slots = torch.arange(largest, dtype=torch.int32, device=device)
        slots[stateful:] = PADDING
        slots = slots.roll(moved_by)
        blank = (self.blank_observation(largest), torch.zeros_like(slots), reward, torch.zeros_like(reward))
        logits = []
        for first in range(0, largest, rows):
            part = slice(first, first + rows)
            write = _padded(slots[part], rows, PADDING)
            inputs = Inputs(*(_padded(x[part], rows, 0) for x in blank))
            logits.append(self._served.step(pages, write, write, inputs)[: len(slots[part])])
        return torch.cat([torch.cat(logits).roll(-moved_by, dims=0).flatten(), pages.flatten()])


def _padded(x: Tensor, rows: int, filler: int) -> Tensor:
    if len(x) == rows:
        return x
    padding = x.new_full((rows - len(x), *x.shape[1:]), filler)
    return torch.cat([x, padding])
