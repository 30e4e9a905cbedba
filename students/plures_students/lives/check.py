"""From a table of steps to Lives, refusing whatever breaks the contract by file, row, column and value."""

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from gymnasium.spaces import Box, Space
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

from ..spaces import check_elements, encoded_width
from .card import LivesCard
from .columns import column_names
from .errors import LivesError
from .lives import Lives

_KINDS = {
    "whole numbers": pa.types.is_integer,
    "numbers": lambda type_: pa.types.is_integer(type_) or pa.types.is_floating(type_),
    "booleans": lambda type_: pa.types.is_boolean(type_) or pa.types.is_integer(type_),
}


def lives_from_table(table: pa.Table, card: LivesCard, where: str) -> Lives:
    """Lives of a table with the columns life, step, observation…, action…, reward, done and any others.

    Rows of one life stand together, steps increase within a life. The observation may be left out when its space
    says nothing (one element). Raise LivesError, beginning with `where`.
    """
    return _Checked(table, where).lives(card)


class _Checked:
    """Reads columns of a table, and says exactly what is wrong with one that cannot be read."""

    def __init__(self, table: pa.Table, where: str) -> None:
        self.table = table
        self.where = where
        self.used: set[str] = set()

    def lives(self, card: LivesCard) -> Lives:
        if self.table.num_rows == 0:
            raise LivesError(f"{self.where} has no rows")
        life_N = self.column("life", "whole numbers").astype(np.int64)
        step_N = self.column("step", "whole numbers").astype(np.int64)
        starts = self.starts(life_N)
        self.check_steps(life_N, step_N)
        observation_N = self.observation(card.observation_space)
        action_N = self.elements(card.action_space, "action")
        reward_N = self.finite("reward")
        done_N = self.flags("done")
        offsets = np.append(starts, len(life_N))
        life_L = life_N[starts]
        return Lives(card, life_L, offsets, step_N, observation_N, action_N, reward_N, done_N, self.extra())

    def column(self, name: str, kind: str) -> NDArray[Any]:
        if name not in self.table.column_names:
            raise LivesError(f"{self.where} misses the column {name}; it has {', '.join(self.table.column_names)}")
        self.used.add(name)
        column = self.table[name]
        if not _KINDS[kind](column.type):
            raise LivesError(f"{self.where}: column {name} holds {column.type}, not {kind}")
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy()))
            raise LivesError(f"{self.where}: {name} of row {row} is null")
        values: NDArray[Any] = column.to_numpy()
        return values

    def starts(self, life_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first row of each life."""
        starts = np.flatnonzero(np.diff(life_N, prepend=life_N[0] - 1))
        _, first = np.unique(life_N[starts], return_index=True)
        again = np.setdiff1d(starts, starts[first])
        if len(again):
            row = int(again[0])
            raise LivesError(
                f"{self.where}: life {life_N[row]} begins again in row {row}; a life's rows stand together"
            )
        return starts

    def check_steps(self, life_N: NDArray[np.int64], step_N: NDArray[np.int64]) -> None:
        bad = np.flatnonzero((np.diff(life_N) == 0) & (np.diff(step_N) <= 0)) + 1
        if len(bad):
            row = int(bad[0])
            raise LivesError(
                f"{self.where}: step of row {row} (life {life_N[row]}) is {step_N[row]} after {step_N[row - 1]}; "
                "the steps of a life increase"
            )

    def observation(self, space: Space[Any]) -> NDArray[Any]:
        if encoded_width(space) == 0 and "observation" not in self.table.column_names:
            return np.zeros(self.table.num_rows, np.int32)
        return self.elements(space, "observation")

    def elements(self, space: Space[Any], name: str) -> NDArray[Any]:
        """Values [N, *space.shape] of the columns of a space."""
        kind, dtype = ("numbers", np.float32) if isinstance(space, Box) else ("whole numbers", np.int32)
        columns = [self.column(column, kind) for column in column_names(space, name)]
        values = np.stack(columns, axis=-1).astype(dtype).reshape(len(columns[0]), *(space.shape or ()))
        try:
            check_elements(space, torch.from_numpy(values), name)
        except InvalidArgument as error:
            raise LivesError(f"{self.where}: {error}") from error
        return values

    def finite(self, name: str) -> NDArray[np.float32]:
        values = self.column(name, "numbers")
        with np.errstate(over="ignore"):
            single = values.astype(np.float32)
        if not np.isfinite(single).all():
            row = int(np.argmin(np.isfinite(single)))
            raise LivesError(f"{self.where}: {name} of row {row} is {values[row]}; it must be finite in float32")
        return single

    def flags(self, name: str) -> NDArray[np.bool_]:
        values = self.column(name, "booleans")
        good = (values == 0) | (values == 1)
        if not good.all():
            row = int(np.argmin(good))
            raise LivesError(f"{self.where}: {name} of row {row} is {values[row]}, not 0 or 1")
        return values.astype(np.bool_)

    def extra(self) -> dict[str, NDArray[Any]]:
        names = [name for name in self.table.column_names if name not in self.used]
        return {name: self.table[name].to_numpy() for name in names}
