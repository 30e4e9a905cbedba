"""Recorded lives from a `lives.parquet`. Needs pyarrow (`pip install 'plures[server]'`)."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgument
from .life import Life

TABLE = "lives.parquet"


def read_lives(path: Path, observation_shape: Sequence[int] = ()) -> dict[int, Life]:
    """Lives by their ids, in the order of the file: a data set's folder, or its table.

    Columns: life, action, reward, done, and observation, or observation_0 … of the flattened `observation_shape`.

    Raises:
        ImportError: pyarrow is not installed. InvalidArgument: the file cannot be read, or lacks a column.
    """
    columns = _columns(path / TABLE if path.is_dir() else path)
    if missing := [name for name in ("life", "action", "reward", "done") if name not in columns]:
        raise InvalidArgument(f"{path} has no column {missing[0]}; it has {', '.join(columns)}")
    life_N, observation_N = columns["life"], _observation(columns, observation_shape)
    starts = np.flatnonzero(np.diff(life_N, prepend=life_N[:1] - 1))
    bounds = [*starts.tolist(), len(life_N)]
    lives = {}
    for rows in itertools.starmap(slice, itertools.pairwise(bounds)):
        action, reward, done = (columns[name][rows] for name in ("action", "reward", "done"))
        observation = None if observation_N is None else observation_N[rows]
        lives[int(life_N[rows.start])] = Life(action, reward, done, observation)
    return lives


def _columns(path: Path) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InvalidArgument(f"{path} cannot be read as Parquet: {error}") from error
    return {name: table[name].to_numpy() for name in table.column_names}


def _observation(columns: dict[str, NDArray[Any]], shape: Sequence[int]) -> NDArray[Any] | None:
    """[N, *shape], or None where nothing was recorded."""
    if "observation" in columns:
        return columns["observation"]
    count = sum(name.startswith("observation_") for name in columns)
    if not count:
        return None
    flat = np.stack([columns[f"observation_{i}"] for i in range(count)], axis=-1)
    return flat.reshape(len(flat), *(shape or (count,)))
