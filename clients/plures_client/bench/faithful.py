"""How true the student is to its teacher, as its card and reports say: speed that loses the person does not count."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument
from ..records import StudentInfo


@dataclass(frozen=True)
class Faithful:
    """One measure: `found` for the student; `beside` is what it is compared with, `against`."""

    measure: str
    found: float
    beside: float | None
    against: str


def read(student: StudentInfo, fidelity: Path | None) -> list[Faithful]:
    """Everything that was measured of it: by its card, and by a report of `plures fidelity` when one is given."""
    return [*_horizon(student), *_likelihood(student.card), *(_distances(fidelity) if fidelity else [])]


def _horizon(student: StudentInfo) -> list[Faithful]:
    if student.horizon is None:
        return []
    evidence = student.card.get("horizon_evidence") or {}
    rows = [Faithful("steps up to which it was shown to choose alike", student.horizon, None, "")]
    means = (evidence.get("on_copies") or {}).get("mean")
    if means:
        margin = evidence.get("margin")
        rows.append(Faithful("nats a step from its teacher, at the last age tried", means[-1], margin, "margin"))
    return rows


def _likelihood(card: dict[str, Any]) -> list[Faithful]:
    predictors = ((card.get("measured") or {}).get("test") or {}).get("predictors") or {}
    if "student" not in predictors:
        return []
    other = "classic" if "classic" in predictors else "chance"
    nll = {name: predictors.get(name, {}).get("nll") for name in ("student", other)}
    label = {"classic": "classic learner", "chance": "chance"}[other]
    return [Faithful("nats a choice, held-out lives of the teacher", nll["student"], nll[other], label)]


def _distances(path: Path) -> list[Faithful]:
    try:
        report = json.loads(path.read_text())
        measures = {**report["measures"], "run_length": report["run_length"]}
        return [
            Faithful(
                f"distance in {name.replace('_', ' ')}", one["distance"], one["halves"]["mean"], "halves of the teacher"
            )
            for name, one in measures.items()
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(f"{path} is no report of `plures fidelity`: {error!r}") from error
