"""Real people's recorded lives, as the demo needs them.

Shapes: T presses of a life.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray


@dataclass(frozen=True)
class Person:
    """One person's session: actions, rewards and ends of blocks [T], block numbers [T], and the bandit of each row.

    rates: float32 [T, 2], what the two arms paid with. seconds: [T], since the press before; NaN for the first.
    """

    life: int
    action: NDArray[np.int32]
    reward: NDArray[np.float32]
    done: NDArray[np.bool_]
    block: NDArray[np.int64]
    best_action: NDArray[np.int64]
    rates: NDArray[np.float32]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.action)

    @property
    def blocks(self) -> list[slice]:
        """The rows of each block, in order."""
        ends = np.flatnonzero(self.done) + 1
        return [slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    @property
    def seconds_per_decision(self) -> float:
        """The median time between two presses."""
        return float(np.nanmedian(self.seconds))


def read_people(directory: Path) -> list[Person]:
    """Everyone in a data set of the two-armed bandit."""
    table = pq.read_table(directory / "lives.parquet")
    columns = {name: table[name].to_numpy() for name in table.column_names}
    starts = np.flatnonzero(np.diff(columns["life"], prepend=columns["life"][0] - 1))
    bounds = zip(starts, [*starts[1:], len(columns["life"])], strict=True)
    return [_person({name: values[a:b] for name, values in columns.items()}) for a, b in bounds]


def _person(rows: dict[str, NDArray[Any]]) -> Person:
    best = rows["best_action"].astype(np.int64)
    arms = np.arange(2)
    rates = np.where(arms == best[:, None], rows["p_best"][:, None], rows["p_other"][:, None])
    return Person(
        life=int(rows["life"][0]),
        action=rows["action"].astype(np.int32),
        reward=rows["reward"].astype(np.float32),
        done=rows["done"].astype(np.bool_),
        block=rows["block"].astype(np.int64),
        best_action=best,
        rates=rates.astype(np.float32),
        seconds=rows["seconds"].astype(np.float64),
    )
