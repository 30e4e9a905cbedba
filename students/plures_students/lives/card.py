"""The card of a data set: what its columns mean, where they come from, and on what terms."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gymnasium.spaces import Space
from plures_kernels.errors import InvalidArgument

from ..spaces import space_from_json, space_to_json
from ..writing import write_json
from .errors import LivesError

CARD = "card.json"
_SPACES = ("observation_space", "action_space")
_TEXTS = ("title", "source", "licence", "citation")


@dataclass(frozen=True)
class LivesCard:
    """Spaces of the lives, their origin, and the teacher's pace (median seconds a decision; None when not known)."""

    observation_space: Space[Any]
    action_space: Space[Any]
    title: str = ""
    source: str = ""
    licence: str = ""
    citation: str = ""
    seconds_per_decision: float | None = None

    def to_json(self) -> dict[str, Any]:
        spaces = {name: space_to_json(getattr(self, name)) for name in _SPACES}
        texts = {name: getattr(self, name) for name in _TEXTS}
        return {**texts, **spaces, "seconds_per_decision": self.seconds_per_decision}

    @classmethod
    def from_json(cls, form: object, where: str) -> "LivesCard":
        """The card that `to_json` gave; only the spaces must be there. Raise LivesError, beginning with `where`."""
        if not isinstance(form, dict):
            raise LivesError(f"{where} holds a {type(form).__name__}, not an object")
        unknown = set(form) - {*_SPACES, *_TEXTS, "seconds_per_decision"}
        if unknown:
            raise LivesError(f"{where} has the unknown entries {', '.join(sorted(unknown))}")
        for name in _TEXTS:
            if not isinstance(form.get(name, ""), str):
                raise LivesError(f"{where}: {name} {form[name]!r} is not a string")
        return cls(**{**form, **{name: _space(form, name, where) for name in _SPACES}, **_pace(form, where)})

    @classmethod
    def load(cls, directory: Path) -> "LivesCard":
        path = directory / CARD
        try:
            form = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise LivesError(f"{path} cannot be read as JSON: {error}") from error
        return cls.from_json(form, str(path))

    def save(self, directory: Path) -> None:
        write_json(directory / CARD, self.to_json(), ensure_ascii=False)


def _space(form: dict[str, Any], name: str, where: str) -> Space[Any]:
    if name not in form:
        raise LivesError(f'{where} misses {name}, e.g. {{"type": "Discrete", "n": 2}}')
    try:
        return space_from_json(form[name])
    except InvalidArgument as error:
        raise LivesError(f"{where}: {name}: {error}") from error


def _pace(form: dict[str, Any], where: str) -> dict[str, float | None]:
    pace = form.get("seconds_per_decision")
    is_number = isinstance(pace, int | float) and not isinstance(pace, bool)
    if pace is not None and not (is_number and 0 < pace < math.inf):
        raise LivesError(f"{where}: seconds_per_decision {pace!r} is not a positive number or null")
    return {"seconds_per_decision": pace}
