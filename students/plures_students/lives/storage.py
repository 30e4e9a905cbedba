"""Lives on disk: a directory of `lives.parquet` and `card.json`."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from gymnasium.spaces import Discrete, Space

from ..memory import require_memory
from ..writing import replacing
from .card import LivesCard
from .check import lives_from_table
from .columns import column_names
from .errors import LivesError
from .lives import Lives

TABLE = "lives.parquet"


def read_lives(directory: Path) -> Lives:
    """Read and check a data set; raise LivesError, naming file, row, column and value, for whatever is wrong."""
    card = LivesCard.load(directory)
    path = directory / TABLE
    try:
        with pq.ParquetFile(path) as file:
            _require_memory(path, file.metadata)
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise LivesError(f"{path} cannot be read as Parquet: {error}") from error
    return lives_from_table(table, card, str(path))


def _require_memory(path: Path, metadata: pq.FileMetaData) -> None:
    """The table as it is read, and once more as arrays."""
    written = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    # Encodings of columns can be smaller than the numbers themselves, 4 bytes each at least.
    needed = 2 * max(written, 4 * metadata.num_rows * metadata.num_columns)
    require_memory(
        needed, f"{path}: {metadata.num_rows:,} rows", "read them in parts (`stream_lives`), or split the data set"
    )


def write_lives(directory: Path, lives: Lives) -> None:
    """Write a data set, zstd-compressed; each file appears whole or not at all."""
    with replacing(directory / TABLE) as temporary:
        pq.write_table(_table(lives), temporary, compression="zstd", compression_level=19)
    lives.card.save(directory)


def _table(lives: Lives) -> pa.Table:
    columns: dict[str, Any] = {"life": np.repeat(lives.life_L, lives.lengths), "step": lives.step_N}
    if not _says_nothing(lives.card.observation_space):
        columns |= _flat(lives.card.observation_space, "observation", lives.observation_N)
    columns |= _flat(lives.card.action_space, "action", lives.action_N)
    columns |= {"reward": lives.reward_N, "done": lives.done_N, **lives.extra}
    return pa.table(columns)


def _says_nothing(space: Space[Any]) -> bool:
    return isinstance(space, Discrete) and space.n == 1


def _flat(space: Space[Any], name: str, values: Any) -> dict[str, Any]:
    names = column_names(space, name)
    return dict(zip(names, values.reshape(len(values), len(names)).T, strict=True))
