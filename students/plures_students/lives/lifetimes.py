"""Lives of arrays, one set a life, as other formats hand them out. T steps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from gymnasium.spaces import Space
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

from ..spaces import encoded_width, space_from_json, space_to_json
from .card import LivesCard
from .check import lives_from_table
from .columns import column_names
from .errors import LivesError
from .lives import Lives


@dataclass(frozen=True)
class Lifetime:
    """Observations and actions [T, *space.shape], rewards [T], and whether a step ended an episode, [T]."""

    observation_T: NDArray[Any]
    action_T: NDArray[Any]
    reward_T: NDArray[Any]
    done_T: NDArray[Any]


def our_space(space: Space[Any] | None, what: str, where: str) -> Space[Any]:
    """The space as cards hold it; LivesError, beginning with `where`, for one that they cannot."""
    try:
        return space_from_json(space_to_json(space))  # type: ignore[arg-type]
    except InvalidArgument as error:
        raise LivesError(f"{where}: {what} {error}; map its elements to one of those") from error


def from_lifetimes(card: LivesCard, lifetimes: Iterable[Lifetime], where: str) -> Lives:
    """The lives, numbered from 0 in their order; raise LivesError, by row, column and value, for what breaks rules."""
    each = list(lifetimes)
    if not each:
        raise LivesError(f"{where} has no lives")
    lengths = [len(one.reward_T) for one in each]
    columns: dict[str, Any] = {
        "life": np.repeat(np.arange(len(each)), lengths),
        "step": np.concatenate([np.arange(length) for length in lengths]),
        "reward": np.concatenate([one.reward_T for one in each]),
        "done": np.concatenate([one.done_T for one in each]).astype(np.bool_),
    }
    if encoded_width(card.observation_space):
        columns |= _columns(card.observation_space, "observation", [one.observation_T for one in each])
    columns |= _columns(card.action_space, "action", [one.action_T for one in each])
    return lives_from_table(pa.table(columns), card, where)


def _columns(space: Space[Any], name: str, parts: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    names = column_names(space, name)
    return dict(zip(names, np.concatenate(parts).reshape(-1, len(names)).T, strict=True))
