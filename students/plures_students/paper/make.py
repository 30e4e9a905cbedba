"""All units, one after the other, and the results after each, so that whoever stops it loses one training at most."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..provenance import made
from ..writing import write_json
from .document import write_document
from .speed import measure_speed
from .studies import FOLDS, STUDIES
from .summary import summarise
from .unit import Unit

FORMAT = 1


def make_paper(
    out: Path,
    results: Path,
    document: Path,
    seeds: int,
    minutes: float | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Make what is missing under `out`, then the results (JSON) and the document with its pictures; return the results.

    After `minutes` no unit is begun any more: the results are then of those that there are, and say which.
    """
    units = list(all_units(out, seeds))
    deadline_s = time.monotonic() + 60 * minutes if minutes is not None else None
    for unit in units:
        if deadline_s is not None and time.monotonic() > deadline_s:
            break
        if not unit.is_done:
            say(f"{unit.study.name}: fold {unit.fold}, seed {unit.seed}")
            unit.run()
    known = made("how well people are imitated", "plures paper")
    found = {**known, "format": FORMAT, **summarise([unit for unit in units if unit.is_done]), "speed": _speed(out)}
    write_json(results, found, indent=1)
    write_document(document, found)
    return found


def all_units(out: Path, seeds: int) -> Iterator[Unit]:
    """Every study and fold with the first seed, then with the next."""
    for seed in range(seeds):
        for study in STUDIES.values():
            for fold in range(FOLDS):
                yield Unit(study, fold, seed, out)


def _speed(out: Path) -> dict[str, Any]:
    """Measured once, for timings differ."""
    path = out / "speed.json"
    if not path.exists():
        write_json(path, measure_speed(STUDIES["bandit"]), indent=1)
    measured: dict[str, Any] = json.loads(path.read_text())
    return measured
