"""Two runs beside each other: the ratio of each time with an interval, and whether it may be noise.

The ratio is Hodges and Lehmann's estimate, the median of all ratios of a time of one run and a time of the other. Its
interval are those of these ratios that the exact distribution of Mann and Whitney's statistic leaves: no shape of the
noise is assumed. (Hodges & Lehmann, Ann. Math. Statist. 34:598, 1963; Mann & Whitney, Ann. Math. Statist. 18:50, 1947.)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from pathlib import Path

import numpy as np

from ..errors import InvalidArgument

CONFIDENCE = 0.95
Samples = Sequence[float]


@dataclass(frozen=True)
class Ratio:
    """A time of run b over that of run a: below 1, b is faster. `low` and `high` hold the ratio with `confidence`.

    `noise`: 1 lies between them, or there are too few repeats to say anything at that confidence.
    """

    name: str
    ratio: float
    low: float
    high: float
    confidence: float
    noise: bool


@dataclass(frozen=True)
class Comparison:
    """What both runs measured, and what but one of them did."""

    ratios: list[Ratio]
    only_in_one: list[str]


def compare(a: Path, b: Path) -> Comparison:
    """Every time that two files have in common; raise InvalidArgument when there is none, or one is not of a bench."""
    first, second = _read(a), _read(b)
    shared = [name for name in first if name in second]
    if not shared:
        raise InvalidArgument(f"{a} and {b} have no measurement in common")
    ratios = [ratio(name, first[name], second[name]) for name in shared]
    return Comparison(ratios, sorted(first.keys() ^ second.keys()))


def ratio(name: str, a: Samples, b: Samples) -> Ratio:
    """How many times as long b took as a."""
    ratios = np.sort(np.divide.outer(np.asarray(b, np.float64), np.asarray(a, np.float64)).ravel())
    left_out, confidence = _trimmed(len(a), len(b))
    low, high = float(ratios[left_out]), float(ratios[len(ratios) - 1 - left_out])
    noise = low <= 1 <= high or confidence < CONFIDENCE
    return Ratio(name, float(np.median(ratios)), low, high, confidence, noise)


def _trimmed(n: int, m: int) -> tuple[int, float]:
    """How many of the n·m ordered ratios an interval leaves out on each side, and the confidence that it then has."""
    orders, left_out, below = comb(n + m, n), 0, _ways(n, m, 0)
    while 2 * (below + _ways(n, m, left_out + 1)) <= (1 - CONFIDENCE) * orders:
        left_out += 1
        below += _ways(n, m, left_out)
    return left_out, 1 - 2 * below / orders


@cache
def _ways(n: int, m: int, u: int) -> int:
    """In how many orders of n and m numbers u pairs stand the other way round."""
    if u < 0 or n < 0 or m < 0:
        return 0
    if n == 0 or m == 0:
        return int(u == 0)
    return _ways(n - 1, m, u - m) + _ways(n, m - 1, u)


def _read(path: Path) -> Mapping[str, Samples]:
    try:
        return {name: one["samples"] for name, one in json.loads(path.read_text())["measurements"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgument(
            f"{path} holds no repeated measurements: {error!r}; `plures bench` writes them"
        ) from error
