"""The stepper: waves cut in tiles of constant size, so that an agent's step is the same bits in any wave.

Shapes: B agents of a wave, R rows of a tile, A actions.
"""

from abc import ABC, abstractmethod

import torch
from plures_students.model import Inputs
from plures_students.sampling import sample
from plures_students.spaces import dtype_of
from torch import Tensor

from .crew import Crew
from .errors import NotOffered
from .pages import Pages, Turnover
from .pool import Pool
from .speech import Saying, SayRequest
from .students import Hosted
from .telemetry.meter import Meter, Meters
from .wave import Wave

TILES = (64, 512, 4096)
"""Rows of a tile. A matrix product may round a row otherwise when there are more rows or fewer, so sizes are few."""


class Stepper(ABC):
    """Steps the agents of one student, a tile at a time."""

    scan_sizes: tuple[int, ...] = ()
    """Numbers of steps of one agent that `scan` lives at once, with the same bits as single steps."""

    def __init__(
        self,
        student: Hosted,
        pages: Pages,
        crew: Crew,
        tiles: tuple[int, ...] = TILES,
        meters: Meters | None = None,
    ) -> None:
        self.student = student
        self.pages = pages
        self.crew = crew
        self.meters = meters or Meters()
        self.tiles = tiles

    @abstractmethod
    def logits(self, wave: Wave, observation: Tensor, reward: Tensor, done: Tensor) -> Tensor:
        """Logits [B, A] of at most one tile of agents; their states move from wave.read to wave.write."""

    def scan(self, state_F: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Logits [T, A] and the state after T steps of one agent, inputs [T, …]; T is one of `scan_sizes`."""
        raise NotImplementedError(f"{type(self).__name__} scans no steps")

    def say(self, pool: Pool, request: SayRequest) -> Saying:
        """Take agents that shall read and say; what is refused changes nothing."""
        raise NotOffered(
            f"agents of student {self.student.name!r} are stepped by this server, a token at a time: send each with "
            "Act; a server with --engine vllm lets them read and say"
        )

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


def _cut(rows: slice, most: int) -> list[slice]:
    """Rows in order, at most so many together."""
    return [slice(first, min(first + most, rows.stop)) for first in range(rows.start, rows.stop, most)]
