"""`plures bench`: how many times faster than their teacher copies are; two such runs beside each other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from .added import what_is_missing
from .connect import connected
from .output import json_option, print_json, print_table
from .run import parameter

if TYPE_CHECKING:
    from ..bench.compare import Ratio
    from ..bench.settings import Settings
    from ..bench.speedup import Beside, Speedup
    from ..client import Client

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
PARAMETERS = {"bandit": {"p_0": 0.25, "p_1": 0.05}}
SECTIONS = ("serial", "parallel", "problems")


@click.group()
def bench() -> None:
    """Measure how many times faster copies are; compare runs."""


@bench.command()
@click.argument("student")
@click.option("--students", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="FOLDER",
              help="Start a server of its own with these.  [default: the one at --server]")  # fmt: skip
@click.option("--task", default="bandit", help="What copies do, on the server.")
@click.option("--param", "parameters", type=parameter, multiple=True, metavar="NAME=NUMBER", help="Of the task.")
@click.option("--seconds-per-decision", type=click.FloatRange(0, min_open=True), default=None,
              help="The teacher's.  [default: what its lives recorded, by the student's card]")  # fmt: skip
@click.option("--most", type=click.IntRange(1), default=1_000_000, help="Copies in the largest cohort.")
@click.option("--repeats", type=click.IntRange(1), default=5, help="Of every measurement, after one that counts not.")
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), default=1.0, help="About how long a repeat goes on."
)
@click.option("--goal", type=click.FloatRange(0, min_open=True), default=100.0, help="The speed-up looked for.")
@click.option("--quality", type=click.FloatRange(0, 1, min_open=True), default=0.9, help="Of a solved problem.")
@click.option("--only", type=click.Choice(SECTIONS), multiple=True, help="Beside serial; may be repeated.")
@click.option("--seed", type=click.IntRange(0, 2**63), default=1)
@click.option("--fidelity", type=FILE, help="fidelity.json of `plures fidelity`, to stand beside the speed.")
@click.option("--peers", type=FILE, help="What bench/bench_peers.py measured, to stand beside it.")
@click.option("--json", "json_path", type=NEW_FILE, help="Write everything here, too.")
@click.option("--html", "html_path", type=NEW_FILE, help="Write a report with pictures here, too.")
def speedup(
    student: str, students: Path | None, task: str, parameters: Sequence[tuple[str, float]],
    seconds_per_decision: float | None, most: int, repeats: int, seconds: float, goal: float, quality: float,
    only: Sequence[str], seed: int, fidelity: Path | None, peers: Path | None, json_path: Path | None,
    html_path: Path | None,
) -> None:  # fmt: skip
    """Measure how many times faster than its teacher copies of STUDENT are."""
    from ..bench.settings import SIZES, Settings
    from ..bench.speedup import Beside

    write_report = _report_writer() if html_path else None
    with _server(students) as client:
        settings = Settings(
            student, task, dict(parameters) or PARAMETERS.get(task, {}), seconds_per_decision or _pace(client, student),
            tuple(sorted({size for size in (*SIZES, most) if size <= most})), repeats, seconds, goal, quality, seed,
            frozenset(only or SECTIONS),
        )  # fmt: skip
        found = _measured(client, settings, Beside(fidelity, peers), json_path)
    if write_report and html_path:
        write_report(html_path, found)
        click.echo(f"Report: {html_path}")


@bench.command()
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@json_option
def compare(a: Path, b: Path, as_json: bool) -> None:
    """Say what takes longer in run B than in run A, and what may be noise."""
    from ..bench.compare import CONFIDENCE
    from ..bench.compare import compare as compared

    found = compared(a, b)
    if as_json:
        return print_json(found)
    print_table(
        ["measurement", "b / a", f"{CONFIDENCE:.0%} from", "to", ""],
        [(each.name, each.ratio, each.low, each.high, _verdict(each)) for each in found.ratios],
    )
    return click.echo(f"{len(found.only_in_one)} measurements are in one of them only") if found.only_in_one else None


def _verdict(each: "Ratio") -> str:
    if each.noise:
        return "noise" if each.low <= 1 <= each.high else "too few repeats to say"
    return "faster" if each.ratio < 1 else "slower"


def _measured(client: "Client", settings: "Settings", beside: "Beside", json_path: Path | None) -> "Speedup":
    from rich.console import Console

    from ..bench.speedup import measure, write_json
    from ..bench.terminal import show

    errors = Console(stderr=True)
    found = measure(client, settings, beside, lambda words: errors.print(words, style="dim"))
    if json_path:
        write_json(json_path, found)
    show(found, Console())
    return found


@contextmanager
def _server(students: Path | None) -> "Iterator[Client]":
    """A client of the server at `--server`, or of one started for the purpose."""
    from ..client import Client
    from ..demo.programs import served

    if students is None:
        with connected() as client:
            yield client
        return
    with (
        TemporaryDirectory() as folder,
        served(students, Path(folder, "data"), Path(folder, "log")) as address,
        Client(address) as client,
    ):
        yield client


def _pace(client: "Client", student: str) -> float:
    """What the student's card says of its teacher."""
    known = client.students.get(student).teacher_seconds_per_decision
    if known is None:
        raise click.UsageError(
            f"the card of student {student} does not say how long its teacher takes for a decision; "
            "give --seconds-per-decision"
        )
    return known


def _report_writer() -> "Callable[[Path, Speedup], None]":
    """Asked for before anything is measured: without matplotlib there would be no report."""
    try:
        from ..bench.report import write
    except ModuleNotFoundError as error:
        raise click.ClickException(what_is_missing("bench speedup", error.name or str(error))) from error
    return write
