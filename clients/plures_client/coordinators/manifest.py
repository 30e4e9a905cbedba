"""What a coordinator writes down, so that when it dies another process can go on."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from ..errors import DataLoss, FailedPrecondition

VERSION = 1


@dataclass
class Manifest:
    """Who works where, and what was done: a JSON file, or nothing but memory when there is no `path`.

    `name` begins the names of all that a coordinator makes on the server. Entries follow from the problem alone or are
    what the server answered: who goes on makes the same ones again, and finds them here.
    """

    path: Path | None
    cohort: str
    name: str
    entries: list[Any] = field(default_factory=list)
    found: int = 0
    is_ours: bool = True
    """Unless it turned out to be of another problem: then what it tells of is left as it is."""

    @classmethod
    def open(cls, path: Path | str | None, cohort: str) -> Self:
        """That of the coordinator that died, if the file is there; else a new one, on the disk when this returns.

        Raises:
            FailedPrecondition: it is of another cohort. DataLoss: the file is no manifest.
        """
        if path is None or not Path(path).exists():
            made = cls(None if path is None else Path(path), cohort, f"work-{uuid4().hex}")
            made._write()
            return made
        told = _read(Path(path))
        if told["cohort"] != cohort:
            raise FailedPrecondition(
                f"{path} is of work by cohort {told['cohort']}, not {cohort}; resume with that one, or remove the file"
            )
        return cls(Path(path), cohort, told["name"], told["entries"], found=len(told["entries"]))

    def add(self, entry: Any) -> None:
        """Write an entry down; it is on the disk when this returns."""
        self.entries.append(entry)
        self._write()

    def agree(self, number: int, entry: Any) -> None:
        """Add entry `number`, or raise FailedPrecondition when another one was made before in its place."""
        if number == len(self.entries):
            self.add(entry)
        elif self.entries[number] != entry:
            self.is_ours = False
            raise FailedPrecondition(
                f"{self.path} is of another problem, or of other settings: step {number} differs; "
                "resume with those, or remove the file"
            )

    def remove(self) -> None:
        """Nothing is left to go on with."""
        if self.path is not None and self.is_ours:
            self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self.path is None:
            return
        told = {"version": VERSION, "cohort": self.cohort, "name": self.name, "entries": self.entries}
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with beside.open("w") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataLoss(f"{path} is no manifest of a coordinator: {error}; remove it to begin anew") from error
    if not isinstance(told, dict) or told.get("version") != VERSION or not {"cohort", "name", "entries"} <= set(told):
        raise DataLoss(f"{path} is no manifest of version {VERSION}; remove it to begin anew")
    return told
