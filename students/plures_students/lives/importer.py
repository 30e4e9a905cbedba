"""Lives from a CSV file (also gzipped), as a Mapping says. N rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from .check import lives_from_table
from .errors import LivesError
from .lives import Lives
from .mapping import BestAction, Clock, Mapping, Source


def import_csv(path: Path, mapping: Mapping) -> Lives:
    """The lives of a CSV file; raise LivesError, naming file, row, column and value, for what does not fit."""
    try:
        # Empty cells alone are missing: text like "null" is a value, and other readers were misled by it.
        options = pa.csv.ConvertOptions(null_values=[""], strings_can_be_null=True)
        table = pa.csv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowException) as error:
        raise LivesError(f"{path} cannot be read as CSV: {error}") from error
    return _Import(table, mapping, str(path)).lives()


class _Import:
    """One foreign table on its way to lives, its rows in order of life."""

    def __init__(self, table: pa.Table, mapping: Mapping, where: str) -> None:
        self.mapping = mapping
        self.where = where
        self.table = table
        self.order_N = np.arange(table.num_rows)
        kept = np.flatnonzero(self.kept())
        if not len(kept):
            raise LivesError(
                f"{where} has no rows" if not table.num_rows else f"{where}: no row has all that is to be kept"
            )
        name_N = self.names()[kept]
        order = np.argsort(name_N, kind="stable")
        self.order_N = kept[order]
        self.name_N = name_N[order]
        self.table = table.take(pa.array(self.order_N))

    def lives(self) -> Lives:
        columns: dict[str, Any] = {"life": self.life_ids()}
        columns["step"] = self.step_numbers()
        columns |= {ours: self.recoded(ours, source) for ours, source in self.mapping.columns.items()}
        columns.setdefault("done", self.ends(columns))
        columns |= {ours: self.before(ours, columns) for ours in self.mapping.before}
        if self.mapping.best_action:
            columns["best_action"] = self.best_action(self.mapping.best_action, columns)
        if self.mapping.seconds:
            columns["seconds"] = self.seconds(self.mapping.seconds, columns["done"])
        lives = lives_from_table(pa.table(columns), self.mapping.card, f"{self.where} (rows in order of life)")
        return _paced(lives)

    def kept(self) -> NDArray[np.bool_]:
        """Rows that the mapping keeps."""
        kept_N = np.ones(self.table.num_rows, np.bool_)
        for column, above in self.mapping.keep.items():
            kept_N &= self.numbers("keep", column) > above
        return kept_N

    def names(self) -> NDArray[Any]:
        """Whose row it is."""
        parts = [self.foreign("life", column) for column in self.mapping.life]
        return parts[0] if len(parts) == 1 else np.array(["-".join(map(str, row)) for row in zip(*parts, strict=True)])

    def foreign(self, ours: str, column: str) -> NDArray[Any]:
        if column not in self.table.column_names:
            has = ", ".join(self.table.column_names)
            raise LivesError(f"{self.where} misses the column {column} (for {ours}); it has {has}")
        values = self.table[column]
        if values.null_count:
            row = int(self.order_N[np.argmax(values.is_null().to_numpy())])
            raise LivesError(f"{self.where}: {column} of row {row} is empty")
        found: NDArray[Any] = values.to_numpy()
        return found

    def numbers(self, ours: str, column: str) -> NDArray[Any]:
        values = self.foreign(ours, column)
        if not np.issubdtype(values.dtype, np.number):
            raise LivesError(f"{self.where}: {column} holds {self.table[column].type}, not numbers (for {ours})")
        return values

    def life_ids(self) -> NDArray[np.int64]:
        if np.issubdtype(self.name_N.dtype, np.integer):
            return self.name_N.astype(np.int64)
        return np.unique(self.name_N, return_inverse=True)[1].astype(np.int64) + 1

    def first_N(self) -> NDArray[np.bool_]:
        """Whether a row is the first of its life."""
        return np.append(True, self.name_N[1:] != self.name_N[:-1])

    def step_numbers(self) -> NDArray[np.int64]:
        row_N = np.arange(len(self.name_N))
        return row_N - np.maximum.accumulate(np.where(self.first_N(), row_N, 0))

    def recoded(self, ours: str, source: Source) -> NDArray[Any]:
        values = self.foreign(ours, source.column)
        if source.values is None:
            return values
        kinds, kind_N = np.unique(values.astype(str), return_inverse=True)
        for kind in kinds:
            if kind not in source.values:
                row = int(self.order_N[np.argmax(kinds[kind_N] == kind)])
                known = ", ".join(source.values)
                raise LivesError(f"{self.where}: {source.column} of row {row} is {kind}; {ours} knows {known}")
        return np.array([source.values[kind] for kind in kinds])[kind_N]

    def ends(self, columns: dict[str, Any]) -> NDArray[np.bool_]:
        """Last rows of episodes; without episodes nothing is ever done."""
        episode = self.mapping.episode
        if episode is None:
            return np.zeros(len(self.name_N), np.bool_)
        if episode not in columns:
            raise LivesError(f"{self.where}: derive.episode names {episode}, which is not one of our columns")
        changes = (columns[episode][1:] != columns[episode][:-1]) | self.first_N()[1:]
        return np.append(changes, True)

    def best_action(self, best: BestAction, columns: dict[str, Any]) -> NDArray[Any]:
        space = self.mapping.card.action_space
        if not (isinstance(space, Discrete) and space.n == 2):
            raise LivesError(f"{self.where}: derive.best_action wants two actions, the space is {space}")
        marked = self.foreign("best_action", best.column).astype(str) == best.equals
        best_N: NDArray[Any] = np.where(marked, columns["action"], 1 - columns["action"])
        return best_N

    def before(self, ours: str, columns: dict[str, Any]) -> NDArray[Any]:
        """What a column held in the previous row of the episode."""
        of, first = self.mapping.before[ours].of, self.mapping.before[ours].first
        if of not in columns:
            raise LivesError(f"{self.where}: derive.before.{ours} names {of}, which is not one of our columns")
        fresh_N = np.append(True, np.asarray(columns["done"], np.bool_)[:-1])
        before_N: NDArray[Any] = np.where(fresh_N, first, np.roll(columns[of], 1)).astype(columns[of].dtype)
        return before_N

    def seconds(self, clock: Clock, done_N: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Seconds since the previous row of the episode; NaN in its first row."""
        unknown = set(clock.unit_of_life) - {str(name) for name in self.name_N}
        if unknown:
            raise LivesError(f"{self.where}: derive.seconds.unit_of_life names no life: {', '.join(sorted(unknown))}")
        unit_N = np.array([clock.unit_of_life.get(str(name), clock.unit) for name in self.name_N])
        passed_N = np.diff(self.numbers("seconds", clock.column), prepend=np.nan) * unit_N
        fresh_N = self.first_N() | np.append(True, np.asarray(done_N, np.bool_)[:-1])
        return np.where(fresh_N, np.nan, passed_N).astype(np.float32)


def _paced(lives: Lives) -> Lives:
    """Tell the card the median pace, when seconds are known and the card is silent."""
    seconds_N = lives.extra.get("seconds", np.zeros(0))
    known_N = seconds_N[np.isfinite(seconds_N)]
    if lives.card.seconds_per_decision is not None or len(known_N) == 0:
        return lives
    pace = round(float(np.median(known_N)), 4)
    return replace(lives, card=replace(lives.card, seconds_per_decision=pace))
