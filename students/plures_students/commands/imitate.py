"""`plures imitate`: fit one member of the family to recorded lives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from plures_kernels import RULES
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..config import StudentConfig
from ..imitate import Imitation, ImitationSettings
from ..imitate.resume import TENSORS, ResumeError
from ..imitate.trainer import Trainer
from ..lives import read_lives
from ..spaces import encoded_width
from .failing import fails_in_words
from .output import console_for, json_option, print_json

DIRECTORY = click.Path(file_okay=False, path_type=Path)
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _option(name: str, kind: click.ParamType[Any], help: str) -> Callable[[Decorated], Decorated]:
    """An option whose default is that of ImitationSettings."""
    default = getattr(ImitationSettings(), name)
    return click.option(f"--{name.replace('_', '-')}", type=kind, default=default, show_default=True, help=help)


@click.command()
@click.argument("lives", type=DIRECTORY)
@click.option("--out", type=DIRECTORY, required=True, help="Where the student goes: checkpoint, report, logs.")
@click.option("--test", type=DIRECTORY, help="Lives to measure the student on; never trained on.")
@click.option(
    "--rule", type=click.Choice(sorted(RULES)), default="gated_delta", show_default=True, help="Member of the family."
)
@click.option("--heads", type=click.IntRange(1), default=2, show_default=True, help="Memories a layer, fast and slow.")
@click.option("--layers", type=click.IntRange(1), help=f"[default: {StudentConfig.layers}]")
@click.option(
    "--mlp-width", type=click.IntRange(1), help=f"Hidden units of a layer. [default: {StudentConfig.mlp_width}]"
)
@_option("steps", click.IntRange(1), "Steps of descent.")
@_option("batch", click.IntRange(1), "Choices that a step sees.")
@_option("length", click.IntRange(1), "Choices in the longest segment of a life.")
@_option("learning_rate", click.FloatRange(0, min_open=True), "At its peak.")
@_option("valid", click.FloatRange(0, 1, min_open=True, max_open=True), "Share of the lives to select by.")
@_option("minutes", click.FloatRange(0, min_open=True), "Hasten the schedule so that it ends in time.")
@_option("threads", click.IntRange(1), "More than one pays on an idle machine only.")
@_option("seed", click.IntRange(0), "Of weights and batches.")
@click.option(
    "--relabel/--no-relabel", default=None, help="Rename actions at random. [default: if nothing is observed]"
)
@click.option(
    "--rename",
    type=click.IntRange(0),
    multiple=True,
    metavar="COLUMN",
    help="Of the observation: names new each episode.",
)
@click.option(
    "--births/--no-births",
    default=False,
    help="Every segment a life's beginning: for teachers whose learning outlasts their episodes.",
)
@click.option("--rehearse/--no-rehearse", default=True, show_default=True, help="Where the lives tell what was played.")
@click.option("--resume", is_flag=True, help="Go on with the training in --out.")
@json_option
@fails_in_words
def imitate(
    lives: Path, out: Path, test: Path | None, rule: str, heads: int, layers: int | None, mlp_width: int | None,
    resume: bool, relabel: bool | None, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Fit a student to the LIVES of a learner, so that it learns as that learner does."""
    if not resume and (out / TENSORS).exists():
        raise ResumeError(f"{out} holds a training; --resume goes on with it; else name another --out, or remove it")
    data = read_lives(lives)
    if relabel is None:
        relabel = encoded_width(data.card.observation_space) == 0
    settings = ImitationSettings(relabel=relabel, **given)
    chosen = {"heads": heads, "layers": layers, "mlp_width": mlp_width}
    sizes = {name: size for name, size in chosen.items() if size is not None}
    imitation = Imitation(data, read_lives(test) if test else None, out, rule, settings, resume, sizes)
    console = console_for(as_json)
    with _bar(console) as bar:
        report = imitation.run(_Display(bar, settings))
    _say(console, report, out)
    print_json(report, as_json)


class _Display:
    """Shows a training on a progress bar."""

    def __init__(self, bar: Progress, settings: ImitationSettings) -> None:
        self.bar = bar
        self.task = bar.add_task("imitating", total=settings.steps, losses="")

    def __call__(self, trainer: Trainer, loss: float) -> None:
        course = trainer.course
        pace = course.step / course.seconds if course.seconds else 0.0
        valid = f"{course.curve[-1][2]:.4f}" if course.curve else "–"
        losses = f"nll {loss:.4f}, valid {valid}, {pace:.1f} steps/s"
        self.bar.update(self.task, completed=course.step, losses=losses)


def _bar(console: Console) -> Progress:
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[losses]}"))
    return Progress(*shown, TimeElapsedColumn(), console=console)


def _say(console: Console, report: dict[str, Any], out: Path) -> None:
    if "test" in report:
        console.print(_table(report["test"]))
        if report["test"]["classic_left_out"]:
            console.print(f"The classic learner is left out: {report['test']['classic_left_out']}.")
        gain = report["becoming"]["gain"]
        if gain["standard_error"] is not None:
            said = f"{gain['mean']:+.4f} ± {gain['standard_error']:.4f} nats a choice"
            console.print(f"A copy that lived the earlier episodes foresees the last one better by {said}.")
    console.print(f"Student: {out}")


def _table(test: dict[str, Any]) -> Table:
    table = Table(title=f"{test['lives']} lives never seen, {test['choices']:,} choices")
    for heading in ("predictor", "nll", "likelihood", "accuracy", "student gains, nats a choice"):
        table.add_column(heading, justify="left" if heading == "predictor" else "right")
    for name, score in test["predictors"].items():
        gain = test["gain_of_student_over"].get(name)
        gained = f"{gain['mean']:.4f} ± {gain['standard_error'] or float('nan'):.4f}" if gain else ""
        table.add_row(name, *(f"{score[key]:.4f}" for key in ("nll", "likelihood", "accuracy")), gained)
    return table
