"""From the units that are done to the figures of the document."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..lives import Lives, join
from .open_loop import compare_bandits, compare_load
from .people import Result, gain_of_people, gain_over, loss_of_people
from .studies import STUDIES, published_losses
from .unit import Unit

LOAD_STUDIES = ("CF12", "SZ", "EEG", "fMRI", "Dev")


def summarise(units: Sequence[Unit]) -> dict[str, Any]:
    """Every figure, of the students that there are; a study without any is left out. StaleUnit: see there."""
    summaries = {"bandit": _bandit, "load": _load}
    found: dict[str, Any] = {"units": [_told(unit, unit.result()) for unit in units]}
    for name, summary in summaries.items():
        done = [unit for unit in units if unit.study.name == name]
        if done:
            found[name] = summary(done, [unit.result() for unit in done])
    return found


def _told(unit: Unit, result: Result) -> dict[str, Any]:
    training = result["training"]
    return {
        "study": unit.study.name,
        "fold": unit.fold,
        "seed": unit.seed,
        # Units older than this entry do not say at which commit they were made.
        "commit": result.get("commit"),
        **{name: training[name] for name in ("steps", "seconds", "kept_step")},
        "curve": [[entry["step"], round(entry["valid_nll"], 4)] for entry in training["curve"]],
    }


def _bandit(units: Sequence[Unit], results: Sequence[Result]) -> dict[str, Any]:
    losses = {part: loss_of_people(results, part, pooled=True) for part in ("all", "late", "newborn")}
    people = _met(units)
    by_seed = [
        {"seed": seed, **_brief(compare_bandits(_met(those), _copies(those)))} for seed, those in _of_seeds(units)
    ]
    return {
        **losses,
        "becoming": gain_of_people(results, "late", "newborn"),
        "open_loop": {**compare_bandits(people, _copies(units), units[0].study.copies), "by_seed": by_seed},
    }


def _brief(report: dict[str, Any]) -> dict[str, Any]:
    thirds = report["measures"]["best_by_third"]["copies"]["mean"]
    return {"thirds": thirds, "rise_share": report["rise"]["share"], "run_distance": report["run_length"]["distance"]}


def _load(units: Sequence[Unit], results: Sequence[Result]) -> dict[str, Any]:
    people, copies = _met(units), _copies(units)
    return {study: _load_study(study, people, copies, results) for study in LOAD_STUDIES}


def _load_study(study: str, people: Lives, copies: Lives, results: Sequence[Result]) -> dict[str, Any]:
    of_study = [_within(lives, study) for lives in (people, copies)]
    lives = set(of_study[0].life_L.tolist())
    published = {life: loss for life, loss in published_losses().items() if life in lives}
    return {
        **loss_of_people(results, "all", pooled=False, lives=lives),
        "published": gain_over(results, "all", published),
        "open_loop": compare_load(*of_study),
    }


def _within(lives: Lives, study: str) -> Lives:
    return lives.select(np.flatnonzero(lives.extra["dataset"][lives.offsets[:-1]] == study))


def _of_seeds(units: Sequence[Unit]) -> list[tuple[int, list[Unit]]]:
    return [(seed, [unit for unit in units if unit.seed == seed]) for seed in sorted({unit.seed for unit in units})]


def _met(units: Sequence[Unit]) -> Lives:
    """The people whom the units' students met, each once."""
    study = STUDIES[units[0].study.name]
    held = np.concatenate([study.fold(fold)[1].life_L for fold in sorted({unit.fold for unit in units})])
    return study.lives().select(np.flatnonzero(np.isin(study.lives().life_L, held)))


def _copies(units: Sequence[Unit]) -> Lives:
    return join([unit.copies() for unit in units])
