"""A comparison in figures: as a JSON document, and the laws that its sweep follows."""

import dataclasses
from typing import Any

import numpy as np

from ..errors import InvalidArgument
from .cases import CASES
from .compare import Comparison, Trial
from .laws import Law, power_law, scalability_law


def document(comparison: Comparison) -> dict[str, Any]:
    """All of it, the summary first."""
    told = dataclasses.asdict(comparison)
    return {
        **{name: told[name] for name in ("problem", "unit", "copies", "steps", "settings", "chance")},
        "standings": [dataclasses.asdict(standing) for standing in comparison.standings()],
        "laws": {name: dataclasses.asdict(law) for name, law in laws(comparison).items()},
        **{name: told[name] for name in ("trials", "swept")},
    }


def read(told: dict[str, Any]) -> Comparison:
    """The comparison of which `document` told."""
    trials, swept = (tuple(Trial(**trial) for trial in told[name]) for name in ("trials", "swept"))
    named = {name: told[name] for name in ("problem", "unit", "copies", "steps", "settings", "chance")}
    return Comparison(**named, trials=trials, swept=swept)


def laws(comparison: Comparison) -> dict[str, Law]:
    """Those that can be fitted: not to regrets of 0, nor to too few numbers of copies."""
    found = {}
    for name, fit, points in (
        ("throughput", scalability_law, rates(comparison)),
        ("regret", power_law, regrets(comparison)),
    ):
        try:
            found[name] = fit(*points)
        except InvalidArgument:
            continue
    return found


def rates(comparison: Comparison) -> tuple[list[int], list[float]]:
    """Numbers of copies, and the steps they made a second: the median over seeds, which a busy machine moves least."""
    return _by_copies(comparison, lambda trials: float(np.median([trial.steps / trial.seconds for trial in trials])))


def regrets(comparison: Comparison) -> tuple[list[int], list[float]]:
    """Numbers of copies, and what their mean quality leaves to be wished."""
    regret = CASES[comparison.problem].regret
    return _by_copies(comparison, lambda trials: regret(float(np.mean([trial.quality for trial in trials]))))


def _by_copies(comparison: Comparison, measure: Any) -> tuple[list[int], list[float]]:
    sizes = sorted({trial.copies for trial in comparison.swept})
    return sizes, [measure([trial for trial in comparison.swept if trial.copies == size]) for size in sizes]
