"""`plures fidelity`: teacher and copies side by side."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ..bandits import Bandits
from ..checkpoint import load_checkpoint
from ..fidelity import compare_within_bounds, draw_behaviour
from ..lives import Lives, read_lives, write_lives
from ..threads import threads
from ..writing import write_json
from .failing import fails_in_words
from .output import console_for, json_option, print_json

DIRECTORY = click.Path(file_okay=False, path_type=Path)
REPORT, PICTURE = "fidelity.json", "behaviour.png"


@click.command()
@click.argument("teacher", type=DIRECTORY)
@click.argument("copies", type=DIRECTORY, required=False)
@click.option("--play", "student", type=DIRECTORY, help="Instead of COPIES: let this student live the teacher's lives.")
@click.option(
    "--each",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="With --play: copies of each life; as many free classic learners stand beside them.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--out", type=DIRECTORY, required=True, help=f"Gets {REPORT} and {PICTURE}; with --play, the lives too.")
@json_option
@fails_in_words
def fidelity(
    teacher: Path, copies: Path | None, student: Path | None, each: int, seed: int, out: Path, as_json: bool
) -> None:
    """Compare how the lives of a TEACHER and of its COPIES went, each free in the same tasks."""
    if (copies is None) == (student is None):
        raise click.UsageError("name either the COPIES' lives or, with --play, a student")
    recorded = read_lives(teacher)
    lived = read_lives(copies) if copies else _played(recorded, student, each, seed, out)
    report = compare_within_bounds(recorded, lived, each, seed)
    write_json(out / REPORT, report)
    draw_behaviour(out / PICTURE, report)
    console = console_for(as_json)
    console.print(_table(report))
    if report["told_apart"]:
        console.print(_told(report))
    print_json(report, as_json)


def _played(recorded: Lives, student: Path | None, each: int, seed: int, out: Path) -> Lives:
    assert student is not None
    with threads(1):
        lived = Bandits(recorded).relive(load_checkpoint(student).student, each, seed)
    write_lives(out / "lives", lived)
    return lived


def _table(report: dict[str, Any]) -> Table:
    table = Table(title="{teacher:,} lives of the teacher, {copies:,} of copies".format(**report["lives"]))
    for heading in ("measure", "teacher", "copies", "distance", "of the classic learner", "of halves of the teacher"):
        table.add_column(heading, justify="left" if heading == "measure" else "right")
    floor = report["floor"] or {"distances": {}}
    classic = {**floor["distances"], "run_length": floor.get("run_length")}
    for name, measure in {**report["measures"], "run_length": report["run_length"]}.items():
        if name.endswith("by_trial"):
            continue
        shown = (" ".join(map(_number, measure[who]["mean"])) for who in ("teacher", "copies"))
        halves = "{mean:.3f}, 95 % to {p95:.3f}".format(**measure["halves"])
        least = "" if classic.get(name) is None else f"{classic[name]:.3f}"
        table.add_row(name.replace("_", " "), *shown, f"{measure['distance']:.3f}", least, halves)
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _told(report: dict[str, Any]) -> Table:
    table = Table(title="Told from the teacher's by the first steps of life: area under the curve, .5 where not at all")
    for heading in ("steps", "copies", "the classic learner", "halves of the teacher"):
        table.add_column(heading, justify="right")
    told, floor = report["told_apart"], report["floor"]
    classic = floor["told_apart"] if floor else []
    for place, (copies, halves) in enumerate(zip(told["copies"], told["halves"], strict=True)):
        least = _area(classic[place]) if classic else ""
        most = "{mean:.3f}, 95 % to {p95:.3f}".format(**halves)
        table.add_row(f"{copies['steps']:,}", _area(copies), least, most)
    return table


def _area(found: dict[str, float]) -> str:
    return "{mean:.3f} ({low:.3f}, {high:.3f})".format(**found)
