"""The students that a server can start agents of: every checkpoint below one folder, or what another engine hosts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from gymnasium.spaces import Discrete, Space
from plures_students.checkpoint import CARD, load_checkpoint
from plures_students.config import StudentConfig
from plures_students.errors import CheckpointError
from plures_students.fused import Step, fused
from plures_students.model import Student

from .errors import UnknownStudent
from .names import check_student


class Shape(Protocol):
    """What the server must know of whoever learns: what it perceives and does, and how large its state is."""

    @property
    def rule(self) -> str: ...

    @property
    def observation_space(self) -> Space[Any]: ...

    @property
    def action_space(self) -> Discrete: ...

    @property
    def observation_size(self) -> int | None: ...

    @property
    def actions(self) -> int: ...

    @property
    def page_floats(self) -> int: ...

    def to_json(self) -> dict[str, Any]: ...


class Hosted(ABC):
    """Whoever agents are copies of, under its name."""

    name: str
    card: dict[str, Any]
    digest: str

    @property
    @abstractmethod
    def config(self) -> Shape: ...

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Slow weights, shared by all agents."""

    @property
    def family(self) -> str:
        """The name without a version."""
        return self.name.partition("@")[0]

    @property
    def version(self) -> int:
        """1, or what stands behind the @."""
        return int(self.name.partition("@")[2] or 1)

    @property
    def page_bytes(self) -> int:
        return self.config.page_floats * 4

    @property
    def horizon(self) -> int:
        """Steps up to which it was shown faithful to its teacher; 0 when that was not measured."""
        return int(self.card.get("horizon") or 0)

    @property
    def teacher_seconds_per_decision(self) -> float:
        return float(self.card.get("seconds_per_decision") or 0)


@dataclass(frozen=True)
class ServedStudent(Hosted):
    """A loaded checkpoint, stepped by this server."""

    name: str
    model: Student
    card: dict[str, Any] = field(repr=False)
    digest: str

    @property
    def config(self) -> StudentConfig:
        return self.model.config

    @property
    def parameters(self) -> int:
        return sum(weight.numel() for weight in self.model.parameters())

    @cached_property
    def step(self) -> Step:
        """`Student.step`, as fast as there is one; the weights are taken as they are now."""
        return fused(self.model)


class Students:
    """Loaded students by name."""

    def __init__(self, students: Sequence[Hosted]) -> None:
        self._by_name: dict[str, Hosted] = {student.name: student for student in students}

    def get(self, name: str) -> Hosted:
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(sorted(self._by_name)) or "none"
            raise UnknownStudent(f"no student {name!r} is loaded; loaded: {known}") from None

    def find(self, name: str) -> Hosted | None:
        """The student of exactly that name, if it is loaded."""
        return self._by_name.get(name)

    def newest(self, name: str) -> Hosted:
        """The student of a name with a version; of one without, the newest version that is loaded."""
        versions = [student for student in self._by_name.values() if student.family == name]
        return max(versions, key=lambda student: student.version, default=None) or self.get(name)

    def all(self) -> list[Hosted]:
        by_name = self._by_name
        return [by_name[name] for name in sorted(by_name)]

    def add(self, student: Hosted) -> None:
        # Other threads look things up meanwhile, in the table that they have.
        self._by_name = {**self._by_name, student.name: student}

    def remove(self, student: Hosted) -> None:
        self._by_name = {name: other for name, other in self._by_name.items() if name != student.name}


def load_students(folder: Path, device: torch.device) -> Students:
    """Load every sub-folder of `folder`, each named as its student; raise CheckpointError for the first bad one."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder of students")
    directories = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not directories:
        raise CheckpointError(f"{folder} holds no students: make one with `plures imitate`")
    return Students([load_student(directory, device) for directory in directories])


def load_student(directory: Path, device: torch.device) -> ServedStudent:
    """Load one, named as its folder; raise CheckpointError."""
    name = check_student(directory.name)
    checkpoint = load_checkpoint(directory, device)
    for entry in ("horizon", "seconds_per_decision"):
        _check_number(checkpoint.card.get(entry), f"{directory / CARD}: {entry}")
    return ServedStudent(name, checkpoint.student, checkpoint.card, checkpoint.digest)


def _check_number(value: Any, what: str) -> None:
    if value is not None and not (type(value) in (int, float) and 0 <= value < 2**63):
        raise CheckpointError(f"{what} {value!r} is neither a number from 0 on nor null")
