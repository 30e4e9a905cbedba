"""What `plures imitate` reported of held-out people."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LABELS = {"chance": "chance", "classic": "classic Q-learner", "student": "Plures student"}


@dataclass(frozen=True)
class Score:
    """A predictor on held-out people: mean log loss per choice, exp(−NLL), and how often its favourite was chosen."""

    name: str
    label: str
    nll: float
    likelihood: float
    accuracy: float


@dataclass(frozen=True)
class Learned:
    """The scores, and by how many nats a choice the student beats the classic learner, paired over people."""

    people: int
    choices: int
    scores: list[Score]
    gain: float
    gain_error: float

    @classmethod
    def read(cls, path: Path) -> "Learned":
        """From the report of `plures imitate`."""
        test: dict[str, Any] = json.loads(path.read_text())["test"]
        gain = test["gain_of_student_over"]["classic"]
        scores = [
            Score(name, LABELS.get(name, name), score["nll"], score["likelihood"], score["accuracy"])
            for name, score in test["predictors"].items()
        ]
        return cls(test["lives"], test["choices"], scores, gain["mean"], gain["standard_error"])
