"""What does working together buy? Every shipped problem by every strategy at equal total steps, and their laws.

Beside a server that this starts, on students that must be there already; docs/coordinators.md says how to make them.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
from common import machine, write_json
from plures_client import Client, Cohort
from plures_client.solving import Budget, compare, sweep
from plures_client.solving.report import document

MOST_COPIES = 256


@dataclass(frozen=True)
class Question:
    """A problem at a size, for copies of a student, on so many problems; `sizes` of the sweep, if there is one."""

    problem: str
    student: str
    budget: Budget
    settings: dict[str, str] = field(default_factory=dict)
    sizes: tuple[int, ...] = ()
    seeds: int = 10


LARGE_MAZE = {"rows": "3", "columns": "3", "episode": "100"}
QUESTIONS = {
    "minimise": Question(
        "minimise",
        "optimiser",
        Budget(16, 200),
        {"function": "rastrigin", "rounds": "4"},
        sizes=(1, 4, 16, 64, MOST_COPIES),
    ),
    "minimise-valley": Question(
        "minimise", "optimiser", Budget(16, 200), {"function": "rosenbrock", "dimension": "10", "rounds": "4"}
    ),
    "minimise-leaps": Question(
        "minimise", "leaper", Budget(16, 200), {"function": "rastrigin", "rounds": "4", "by": "leaps"}
    ),
    "portfolio": Question("portfolio", "gambler", Budget(16, 120)),
    # Found or not: that takes many problems to tell apart.
    "goal-search": Question("goal-search", "dark-room", Budget(9, 300), LARGE_MAZE, seeds=30),
    "best-arm": Question("best-arm", "gambler", Budget(16, 32), {"arms": "32"}, seeds=20),
    "branches": Question("branches", "gambler", Budget(16, 300), seeds=30),
    "exploration": Question(
        "exploration", "dark-room", Budget(16, 100), {"rows": "2", "columns": "2", "visits": "6"}, seeds=30
    ),
}


@click.command()
@click.option("--students", type=click.Path(exists=True, path_type=Path), required=True, help="A server's folder.")
@click.option("--only", multiple=True, type=click.Choice(sorted(QUESTIONS)), help="May be repeated. [default: all]")
@click.option("--seeds", type=click.IntRange(2), help="Problems to compare on. [default: 10 or more]")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Where to write; what is there of others stays.")
def main(students: Path, only: tuple[str, ...], seeds: int | None, path: Path | None) -> None:
    """Compare, print, and write."""
    print(machine())
    with serving(students) as client:
        for name in only or QUESTIONS:
            told = ask(client, QUESTIONS[name], seeds or QUESTIONS[name].seeds)
            print(name, "at random", told["chance"])
            for standing in told["standings"]:
                print(name, *(f"{key}={value}" for key, value in standing.items()), flush=True)
            if path:
                keep(path, name, told)


def ask(client: Client, question: Question, seeds: int) -> dict[str, Any]:
    """The comparison, and the sweep when there is one, as a document."""
    cohort = crowd(client, question.student)
    how: dict[str, Any] = {"settings": question.settings, "on_trial": lambda done, total: None}
    found = compare(cohort, question.problem, question.budget, seeds=seeds, **how)
    if question.sizes:
        swept = sweep(cohort, question.problem, question.budget, sizes=question.sizes, seeds=seeds, **how)
        found = replace(found, swept=swept)
    return document(found)


def crowd(client: Client, student: str) -> Cohort:
    alive = {cohort.name for cohort in client.cohorts.list()}
    name = f"crowd-of-{student}"
    return client.cohort(name) if name in alive else client.cohorts.start(name, student=student, count=MOST_COPIES)


def keep(path: Path, name: str, told: dict[str, Any]) -> None:
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    others = [row for row in rows if row["name"] != name]
    write_json(path, "coordinators", [*others, {"name": name, **told}])


@contextmanager
def serving(students: Path) -> Iterator[Client]:
    command = [str(Path(sys.executable).parent / "plures-server"), "--port", "0", "--students", str(students)]
    data = tempfile.mkdtemp()
    process = subprocess.Popen([*command, "--data", data], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"listens on (\S+)", process.stdout.readline())
        assert found, "the server did not start"
        with Client(found.group(1)) as client:
            yield client
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(data)


if __name__ == "__main__":
    main()
