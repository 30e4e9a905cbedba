"""The stepper: waves cut in tiles of constant size, so that an agent's step is the same bits in any wave.

Shapes: B agents of a wave, R rows of a tile, A actions.
"""

from functools import cached_property

import torch
from plures_students.model import Inputs
from plures_students.sampling import sample
from plures_students.spaces import dtype_of
from torch import Tensor

from .crew import Crew
from .errors import InvalidArgument
from .pages import Pages, Turnover
from .scanning import agreeing
from .students import ServedStudent
from .telemetry.meter import Meter, Meters
from .wave import Wave

TILES = (64, 512, 4096)
"""Rows of a tile. A matrix product may round a row otherwise when there are more rows or fewer, so sizes are few."""
TRIAL_BYTES = 64 << 20
"""States that a trial of tiles takes; in the rows beyond them it tries all but the memories."""
PADDING = -1
"""Slot of a row that stands for no agent."""


class Stepper:
    """Steps the agents of one student, a tile at a time. A tile that is not full is padded."""

    def __init__(
        self,
        student: ServedStudent,
        pages: Pages,
        crew: Crew,
        tiles: tuple[int, ...] = TILES,
        meters: Meters | None = None,
    ) -> None:
        self.student = student
        self.pages = pages
        self.crew = crew
        self.meters = meters or Meters()
        self.tiles = self._agreeing(tiles)

    @cached_property
    def scan_sizes(self) -> tuple[int, ...]:
        """Numbers of steps of one agent that its student scans with the same bits as it steps them."""
        return agreeing(self.student, self.tiles, self.pages.data.device)

    @property
    def most_rows(self) -> int | None:
        """Rows whose states can be seated together; None when any number can, and once for all."""
        return self.pages.places.most_rows

    def parts(self, count: int) -> list[slice]:
        """Rows 0 … count - 1 in parts that can be seated together."""
        return _cut(slice(0, count), self.most_rows or count)

    def batches(self, part: slice) -> list[list[slice]]:
        """A part's rows as tiles, as many at a time as the crew steps side by side and as can be seated together."""
        together = self.crew.workers
        rows = self._fitting(-(-(part.stop - part.start) // together))
        if self.most_rows is not None and rows * together > self.most_rows:
            # More tiles, rather than ones that are mostly padding.
            share = max(1, self.most_rows // together)
            rows = max((tile for tile in self.tiles if tile <= share), default=share)
            together = self.most_rows // rows
        tiles = _cut(part, rows)
        return [tiles[i : i + together] for i in range(0, len(tiles), together)]

    def metered(self, meter: Meter, count: int, seconds: float) -> None:
        """So many agents have stepped, in so many seconds."""
        meter.stepped(count, self.rows(count), self.pages.page_bytes, seconds)

    def rows(self, count: int) -> int:
        """Rows that a wave of so many agents takes, padding among them."""
        if self.most_rows is None:
            tile = self._fitting(-(-count // self.crew.workers))
            whole, rest = divmod(count, tile)
            return whole * tile + (self._fitting(rest) if rest else 0)
        parts = (self.batches(part) for part in self.parts(count))
        return sum(self._fitting(tile.stop - tile.start) for part in parts for batch in part for tile in batch)

    def seat(self, wave: Wave, states: Turnover, rows: slice) -> None:
        """Make the states of some rows ready to be stepped; they are until others are seated or pages change hands."""
        read, write = self.pages.bring(states, rows)
        wave.read[rows].copy_(torch.from_numpy(read))
        wave.write[rows].copy_(torch.from_numpy(write))

    def logits(self, wave: Wave, observation: Tensor, reward: Tensor, done: Tensor) -> Tensor:
        """Logits [B, A] of at most one tile of agents; their states move from wave.read to wave.write."""
        rows = self._fitting(len(wave))
        read, write = (_padded(x, rows, PADDING) for x in (wave.read, wave.write))
        seen = Inputs(*(_padded(x, rows, 0) for x in (observation, wave.last_action, reward, done)))
        return self.student.step(self.pages.data, read, write, seen)[: len(wave)]

    def choose(self, wave: Wave, logits: Tensor) -> Tensor:
        """Each agent's own draw: actions int32 [B]."""
        return sample(logits, wave.seed, wave.step)

    def blank_observation(self, count: int) -> Tensor:
        """Observations of zeros, for spaces of one element."""
        space = self.student.config.observation_space
        return torch.zeros((count, *(space.shape or ())), dtype=dtype_of(space), device=self.pages.data.device)

    def _fitting(self, count: int) -> int:
        """The smallest tile that holds so many rows; the largest when none does."""
        return next((rows for rows in self.tiles if rows >= count), self.tiles[-1])

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
        config, generator = self.student.config, torch.Generator().manual_seed(0)
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
            logits.append(self.student.step(pages, write, write, inputs)[: len(slots[part])])
        return torch.cat([torch.cat(logits).roll(-moved_by, dims=0).flatten(), pages.flatten()])


def _cut(rows: slice, most: int) -> list[slice]:
    """Rows in order, at most so many together."""
    return [slice(first, min(first + most, rows.stop)) for first in range(rows.start, rows.stop, most)]


def _padded(x: Tensor, rows: int, filler: int) -> Tensor:
    if len(x) == rows:
        return x
    padding = x.new_full((rows - len(x), *x.shape[1:]), filler)
    return torch.cat([x, padding])
