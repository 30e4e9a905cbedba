"""The studies of people, how they are cut into folds, and how students are trained on them.

The folds lie in `folds.json`, five sets of lives a study; the cuts were drawn once. A student of a fold is trained and
selected on the lives of the other four, so nobody it is measured on had a part in it, nor had anybody in the settings
below: those were chosen on validation people of the training lives of fold 0.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np

from ..imitate import ImitationSettings
from ..imitate.rehearsal import RehearsalSettings
from ..lives import Lives, read_shipped

FOLDS = 5


@dataclass(frozen=True)
class Study:
    """A shipped data set and a recipe; `copies` of each life live it anew."""

    name: str
    data: str
    rule: str
    sizes: dict[str, int]
    settings: ImitationSettings
    copies: int

    def lives(self) -> Lives:
        return _lives(self.data)

    def fold(self, number: int) -> tuple[Lives, Lives]:
        """The lives to learn from, and those of people that were held out."""
        lives = self.lives()
        held = np.isin(lives.life_L, _folds()[self.data][number])
        return lives.select(np.flatnonzero(~held)), lives.select(np.flatnonzero(held))

    def seeded(self, seed: int) -> ImitationSettings:
        return replace(self.settings, seed=seed)


STUDIES = {
    study.name: study
    for study in (
        Study(
            "bandit",
            "dezfouli2019_bandit",
            "gated_delta",
            {"heads": 4},
            ImitationSettings(steps=1000, batch=4096, validate_every=100, rehearsal=RehearsalSettings(every=4)),
            copies=10,
        ),
        Study(
            "load",
            "rlwm_collins2025",
            "gated_delta",
            {"heads": 4},
            ImitationSettings(steps=1600, batch=4096, length=700, rename=(0, 2), rehearse=False),
            copies=4,
        ),
    )
}


@cache
def published_losses() -> dict[int, float]:
    """Of each person who learned under load, the log-loss a choice of the model that was published for them."""
    path = files("plures_students") / "data" / "rlwm_collins2025" / "published.json"
    return {int(life): loss for life, loss in json.loads(path.read_text()).items()}


@cache
def _lives(data: str) -> Lives:
    return read_shipped(data)


@cache
def _folds() -> dict[str, list[list[int]]]:
    folds: dict[str, list[list[int]]] = json.loads((files(__package__) / "folds.json").read_text())
    return folds
