"""Lives of a file that is larger than memory, some whole lives at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .card import LivesCard
from .check import lives_from_table
from .errors import LivesError
from .lives import Lives
from .storage import TABLE


def stream_lives(directory: Path, rows_at_once: int = 1_000_000) -> Iterator[Lives]:
    """The data set in parts of whole lives, in order, each of about so many rows, or of one longer life.

    Each part is read and checked as `read_lives` does it; rows that an error names are counted from those of the part.
    LivesError: as there, also for a life that begins again in a later part.
    """
    card, path = LivesCard.load(directory), directory / TABLE
    ended: set[int] = set()
    first = 0
    for table in _whole_lives(path, rows_at_once):
        lives = lives_from_table(table, card, f"{path}, rows from {first:,} on" if first else str(path))
        if again := ended.intersection(lives.life_L.tolist()):
            raise LivesError(
                f"{path}: life {min(again)} begins again after row {first:,}; a life's rows stand together"
            )
        ended.update(lives.life_L.tolist())
        first += lives.steps
        yield lives


def _whole_lives(path: Path, rows_at_once: int) -> Iterator[pa.Table]:
    waiting: pa.Table | None = None
    for table in _tables(path, rows_at_once):
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        whole = _rows_of_ended_lives(waiting, path)
        if whole:
            yield waiting.slice(0, whole)
            waiting = waiting.slice(whole)
    if waiting is None:
        raise LivesError(f"{path} has no rows")
    yield waiting


def _tables(path: Path, rows_at_once: int) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows_at_once):
                yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as error:
        raise LivesError(f"{path} cannot be read as Parquet: {error}") from error


def _rows_of_ended_lives(table: pa.Table, path: Path) -> int:
    """How many rows there are before the last life, which may go on."""
    if "life" not in table.column_names:
        raise LivesError(f"{path} misses the column life; it has {', '.join(table.column_names)}")
    life_N = table["life"].to_numpy()
    changes = np.flatnonzero(life_N[1:] != life_N[:-1])
    return int(changes[-1]) + 1 if len(changes) else 0
