"""The least piece of work: one student, trained on a fold with a seed, and what the people held out say of it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plures_kernels.errors import PluresError

from ..bandits import Bandits
from ..checkpoint import load_checkpoint
from ..imitate import Imitation, ImitationSettings
from ..imitate.resume import TENSORS
from ..lives import Lives, read_lives, write_lives
from ..model import Student
from ..provenance import made
from ..threads import threads
from ..writing import write_json
from .scores import SCORES
from .studies import Study

RESULT = "result.json"


class StaleUnit(PluresError):
    """A unit on disk that was made with another recipe."""


@dataclass(frozen=True)
class Unit:
    """Its directory has the checkpoint, the lives of free copies, and `result.json`, which is written last."""

    study: Study
    fold: int
    seed: int
    root: Path

    @property
    def directory(self) -> Path:
        return self.root / self.study.name / f"seed{self.seed}-fold{self.fold}"

    @property
    def is_done(self) -> bool:
        return (self.directory / RESULT).exists()

    def run(self) -> None:
        """Train, or go on where a training was cut off, and measure. StaleUnit, ResumeError: begun differently."""
        train, held = self.study.fold(self.fold)
        resume = (self.directory / TENSORS).exists()
        settings = self.study.seeded(self.seed)
        report = Imitation(train, None, self.directory, self.study.rule, settings, resume, self.study.sizes).run()
        with threads(1):
            student = load_checkpoint(self.directory).student
            result = {
                **made("a student of people", "plures paper"),
                **self._recipe(),
                **report,
                "people": SCORES[self.study.name](student, held).by_person(),
            }
            write_lives(self.directory / "copies", self._copies(student, held))
        write_json(self.directory / RESULT, result, indent=1)

    def result(self) -> dict[str, Any]:
        """What `run` found; StaleUnit when it was made otherwise than it would be now."""
        found: dict[str, Any] = json.loads((self.directory / RESULT).read_text())
        found["settings"] = _whole(found["settings"])
        for name, wanted in json.loads(json.dumps(self._recipe())).items():
            if found[name] != wanted:
                raise StaleUnit(
                    f"{self.directory} was made with {name} {found[name]!r}, not {wanted!r}; "
                    "remove it to make it anew, or name another --out"
                )
        return found

    def copies(self) -> Lives:
        return read_lives(self.directory / "copies")

    def _recipe(self) -> dict[str, Any]:
        settings = asdict(self.study.seeded(self.seed))
        return {"fold": self.fold, "rule": self.study.rule, "sizes": self.study.sizes, "settings": settings}

    def _copies(self, student: Student, held: Lives) -> Lives:
        """Free copies live the held-out lives anew; their dice are the unit's own."""
        return Bandits(held).relive(student, self.study.copies, seed=1_000_000 * (self.seed + 1) + 100_000 * self.fold)


def _whole(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they were written, and the defaults of those that are younger."""
    whole: dict[str, Any] = json.loads(json.dumps(asdict(ImitationSettings())))
    return {**whole, **settings, "rehearsal": {**whole["rehearsal"], **settings["rehearsal"]}}
