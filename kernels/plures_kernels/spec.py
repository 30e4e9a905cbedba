"""What a rule is given and what it keeps: its inputs and the parts of a head's state.

Axes are letters: B rows (or sequences), T time, H heads, K key channels, V value channels, S floats of a head's state,
N pages. A rule may have axes of its own, such as J inner steps or F hidden units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod

import torch
from torch import Tensor

Extents = Mapping[str, int]
Inputs = Sequence[Tensor]


class Kind(Enum):
    """What an input is. A weight is learned and the same for all tokens; the others come with every token."""

    ANY = "any number"
    DIRECTION = "a key or query, divided by sqrt(Σ x² + 1e-6) unless normalize=False"
    LOG_DECAY = "a natural logarithm ≤ 0"
    RATE = "in [0, 1]"
    WEIGHT = "learned"


@dataclass(frozen=True)
class Input:
    """One tensor that a rule is given. `axes`: those beside rows and time, heads first.

    `initialize` fills a weight in place with where its learning starts.
    """

    name: str
    axes: str
    kind: Kind = Kind.ANY
    initialize: Callable[[Tensor], Tensor] = torch.nn.init.zeros_

    def named(self, leading: str) -> str:
        """The name with all axes, where those of tokens are `leading`: `q_BTHK`."""
        return f"{self.name}_{'' if self.kind is Kind.WEIGHT else leading}{self.axes}"


@dataclass(frozen=True)
class Part:
    """One tensor of a head's state, by its axes."""

    name: str
    axes: str

    def shape(self, extents: Extents) -> tuple[int, ...]:
        return tuple(extents[axis] for axis in self.axes)


@dataclass(frozen=True)
class Spec:
    """The inputs of a rule, in order, and the parts of a head's state.

    A head's state is S floats: its parts one after another, each in row-major order. `padding`: a token with these
    entries leaves the state as it is, whatever the others are, so that ragged batches can be padded on the right; None
    when there is no such token.
    """

    inputs: tuple[Input, ...]
    state: tuple[Part, ...]
    padding: Mapping[str, float] | None = None

    def state_floats(self, extents: Extents) -> int:
        """S, for the extents of the parts' axes."""
        return sum(prod(part.shape(extents)) for part in self.state)

    def extents(self, inputs: Inputs) -> dict[str, int]:
        """The extent of each axis but those of rows and time, read off the inputs."""
        pairs = zip(self.inputs, inputs, strict=True)
        return {axis: size for inp, x in pairs for axis, size in zip(inp.axes, x.shape[-len(inp.axes) :], strict=True)}

    def split(self, state_BHS: Tensor, extents: Extents) -> tuple[Tensor, ...]:
        """The parts, [B, H, …], as views of the whole."""
        shapes = [part.shape(extents) for part in self.state]
        pieces = torch.split(state_BHS, [prod(shape) for shape in shapes], dim=-1)
        return tuple(piece.reshape(*piece.shape[:-1], *shape) for piece, shape in zip(pieces, shapes, strict=True))

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """The inverse of `split`."""
        return torch.cat([part.flatten(2) for part in parts], dim=-1)
