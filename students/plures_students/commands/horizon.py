"""`plures horizon`: how long a student stays true to a teacher that is an algorithm."""

from pathlib import Path

import click
from rich.table import Table

from ..checkpoint import load_checkpoint, save_checkpoint
from ..fidelity.horizon import MARGIN, Divergence, divergence
from ..teachers import LEARNERS, WORLDS, make
from ..threads import threads
from .failing import fails_in_words
from .output import console_for, json_option, print_json
from .settings import read_settings

DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("student", type=DIRECTORY)
@click.option("--world", type=click.Choice(sorted(WORLDS)), required=True)
@click.option("--learner", type=click.Choice(sorted(LEARNERS)), required=True, help="The teacher.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="As in `plures lives record`.")
@click.option("--lives", type=click.IntRange(2), default=200, show_default=True)
@click.option("--steps", type=click.IntRange(1), required=True, help="Of each life; ten times those trained on, say.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Other than that of the training.")
@click.option(
    "--margin", type=click.FloatRange(0, min_open=True), default=MARGIN, show_default=True,
    help="Nats a step that a faithful copy may differ by.",
)  # fmt: skip
@click.option("--write", is_flag=True, help="Write the horizon and its evidence to the student's card.")
@json_option
@fails_in_words
def horizon(
    student: Path, world: str, learner: str, settings: tuple[str, ...], lives: int, steps: int, seed: int,
    margin: float, write: bool, as_json: bool,
) -> None:  # fmt: skip
    """Let a STUDENT's copies and its teacher live side by side, and say up to which step they choose alike."""
    checkpoint, wanted = load_checkpoint(student), read_settings(settings)
    place, teacher = make(WORLDS, world, wanted["world"]), make(LEARNERS, learner, wanted["learner"])
    with threads(1):
        found = divergence(checkpoint.student, teacher, place, lives, steps, seed, margin)
    console = console_for(as_json)
    console.print(_table(found))
    console.print(f"horizon: {found.horizon:,} of {steps:,} steps, at {margin:g} nats a step", highlight=False)
    print_json({"horizon": found.horizon, **found.to_json()}, as_json)
    if write:
        evidence = {"world": str(place), "teacher": str(teacher), "lives": lives, "seed": seed, **found.to_json()}
        card = {**checkpoint.card, "horizon": found.horizon, "horizon_evidence": evidence}
        save_checkpoint(student, checkpoint.student, card)


def _table(found: Divergence) -> Table:
    table = Table(title="Teacher and copies, by age")
    for heading in ("steps", "nats a step, teacher's lives", "… copies' lives", "teacher's reward", "copies' reward"):
        table.add_column(heading, justify="right")
    curves = found.on_teacher, found.on_copies, found.teacher_reward, found.copies_reward
    for k, (first, until) in enumerate(zip([0, *found.until], found.until, strict=False)):
        figures = (f"{curve.mean[k]:.4f} ± {curve.standard_error[k]:.4f}" for curve in curves)
        table.add_row(f"{first:,} – {until - 1:,}", *figures)
    return table
