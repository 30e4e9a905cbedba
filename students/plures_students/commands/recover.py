"""`plures recover`: whether algorithms and their parameters can be told from lives at all."""

from pathlib import Path
from typing import Any

import click
from rich.progress import Progress
from rich.table import Table

from ..identify import recovery_report
from ..identify.algorithms import ALGORITHMS
from ..identify.recovery import RecoverySettings
from ..identify.recovery_picture import draw_matrices, draw_parameters
from ..identify.strangers import STRANGERS
from ..provenance import made
from ..threads import threads
from ..writing import write_json
from .failing import fails_in_words
from .output import console_for, json_option, print_json

DIRECTORY = click.Path(file_okay=False, path_type=Path)
REPORT, MATRICES, PARAMETERS = "recovery.json", "recovery.png", "parameters.png"


@click.command()
@click.option(
    "--lives", type=click.IntRange(2), default=RecoverySettings.lives, show_default=True, help="An algorithm."
)
@click.option(
    "--steps", type=click.IntRange(10), default=RecoverySettings.steps, show_default=True, help="Of each life."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--out", type=DIRECTORY, required=True, help=f"For {REPORT}, {MATRICES} and {PARAMETERS}.")
@json_option
@fails_in_words
def recover(lives: int, steps: int, seed: int, out: Path, as_json: bool) -> None:
    """Simulate each algorithm, fit all to every life, and say what was told from what."""
    console, settings = console_for(as_json), RecoverySettings(lives, steps, seed=seed)
    with threads(1), Progress(console=console) as bar:
        task = bar.add_task("fitting", total=len(ALGORITHMS) * (len(ALGORITHMS) + len(STRANGERS)))
        found = recovery_report.recover(settings, lambda: bar.advance(task))
    command = f"plures recover --lives {lives} --steps {steps} --seed {seed}"
    report = {**made("recovery of algorithms and parameters", command), **found}
    write_json(out / REPORT, report, indent=None)
    draw_matrices(out / MATRICES, report)
    draw_parameters(out / PARAMETERS, report)
    console.print(_matrix(report))
    console.print(_parameters(report))
    console.print(_strangers(report))
    print_json(report, as_json)


def _matrix(report: dict[str, Any]) -> Table:
    table = Table(title="Simulated (down), taken for (across): share of lives")
    for heading in ("", *report["algorithms"]):
        table.add_column(heading, justify="right")
    for name, row in zip(report["algorithms"], report["confusion"], strict=True):
        table.add_row(name, *(f"{share:.2f}" if share else "·" for share in row))
    return table


def _parameters(report: dict[str, Any]) -> Table:
    table = Table(title="Parameters found again")
    for heading in ("algorithm", "parameter", "r", "bias"):
        table.add_column(heading, justify="right" if heading in ("r", "bias") else "left")
    for name, parameters in report["parameters"].items():
        for parameter, found in parameters.items():
            table.add_row(name, parameter, _correlation(found), f"{found['bias']:+.3f}")
    return table


def _correlation(found: dict[str, Any]) -> str:
    return "–" if found["r"] is None else f"{found['r']:.3f}"


def _strangers(report: dict[str, Any]) -> Table:
    outside = report["outside"]
    table = Table(title=f"Outside the family ({outside['false_alarms']:.1%} false alarms inside, at 5 %)")
    for heading in ("teacher", "AUC", "alarms"):
        table.add_column(heading, justify="left" if heading == "teacher" else "right")
    for kind, said in (("strangers", "{}"), ("left_out", "{}, left out")):
        for name, found in outside[kind].items():
            table.add_row(said.format(name), f"{found['auc']:.3f}", f"{found['alarms']:.1%}")
    return table
