"""`plures identify`: which members of the family a teacher may be."""

from pathlib import Path
from typing import Any

import click
from rich.progress import Progress
from rich.table import Table

from ..identify import compare
from ..identify.members import read_members
from ..identify.picture import draw_members
from ..identify.sizes import Size
from ..imitate import ImitationSettings
from ..lives import read_lives
from ..spaces import encoded_width
from ..threads import threads
from ..writing import write_json
from .failing import fails_in_words
from .output import console_for, json_option, print_json

DIRECTORY = click.Path(file_okay=False, path_type=Path)
REPORT, PICTURE = "identify.json", "identify.png"
_ADVICE = "Comma-separated: rules (also RULE+think:N), algorithms, classic, chance; or the words seeds, algorithms."


@click.command()
@click.argument("lives", type=DIRECTORY)
@click.option("--test", type=DIRECTORY, required=True, help="Lives to rank members by; never fitted to.")
@click.option("--members", default="seeds,classic,chance", show_default=True, help=_ADVICE)
@click.option("--out", type=DIRECTORY, required=True, help=f"For {REPORT}, {PICTURE} and the students.")
@click.option("--parameters", type=click.IntRange(1), default=Size.parameters, show_default=True, help="Of a network.")
@click.option("--state-bytes", type=click.IntRange(4), default=Size.state_bytes, show_default=True, help="Of an agent.")
@click.option("--steps", type=click.IntRange(1), default=400, show_default=True, help="Steps of descent.")
@click.option("--batch", type=click.IntRange(1), default=4096, show_default=True, help="Choices that a step sees.")
@click.option(
    "--length", type=click.IntRange(1), default=400, show_default=True, help="Choices in the longest segment."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights and batches.")
@json_option
@fails_in_words
def identify(
    lives: Path, test: Path, members: str, out: Path, parameters: int, state_bytes: int, as_json: bool, **training: int
) -> None:
    """Fit many members of the family to the LIVES of a teacher, and weigh them by other lives of it.

    Networks all have as many slow weights and as much state. Run again, it takes the students that are in --out.
    """
    train, held_out = read_lives(lives), read_lives(test)
    relabel = encoded_width(train.card.observation_space) == 0
    settings = ImitationSettings(relabel=relabel, rehearse=False, **training)  # type: ignore[arg-type]
    chosen = read_members(members, Size(parameters, state_bytes), settings)
    console = console_for(as_json)
    with threads(1), Progress(console=console) as bar:
        tasks = {name: bar.add_task(name, total=1.0) for name in chosen}
        report = compare.identify(chosen, train, held_out, out, lambda name, at: bar.update(tasks[name], completed=at))
    write_json(out / REPORT, report, indent=1)
    draw_members(out / PICTURE, report)
    console.print(_table(report))
    misfit = report["misfit_of_best"]
    said = f"{misfit['alarms']:.0%} of lives hold what it does not know, at {misfit['at']:.0%} false alarms"
    console.print(f"Best: {report['members'][0]['member']}; {said}.")
    print_json(report, as_json)


def _table(report: dict[str, Any]) -> Table:
    table = Table(title="{tested_on} lives never fitted to".format(**report["lives"]))
    headings = "member", "nll", "behind the best (95 %)", "mass", "share", "parameters", "bytes"
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "member" else "right")
    for row in report["members"]:
        behind = "{mean:.4f} ({low:.4f}, {high:.4f})".format(**row["behind_best"])
        state = "" if row["state_bytes"] is None else f"{row['state_bytes']:,}"
        sureness = f"{row['mass']:.3f}", f"{row['share']['mean']:.3f}"
        cells = f"{row['nll']:.4f}", behind, *sureness, f"{row['parameters']:,}", state
        table.add_row(row["member"], *cells)
    return table
