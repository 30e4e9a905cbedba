"""`plures lives nelder-mead`: record the lives of a library's optimiser."""

from pathlib import Path

import click

from ..lives import write_lives
from ..teachers.nelder_mead import record_nelder_mead
from .failing import fails_in_words
from .fresh import refuse_existing
from .output import facts_of, json_option, say


@click.command("nelder-mead")
@click.option("--lives", "count", type=click.IntRange(1), required=True, help="How many searches.")
@click.option("--steps", type=click.IntRange(21), required=True, help="Values that a search looks at.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@json_option
@fails_in_words
def nelder_mead(count: int, steps: int, seed: int, out: Path, as_json: bool) -> None:
    """Record searches of scipy's Nelder–Mead method, in 2 to 20 dimensions."""
    refuse_existing(out)
    data = record_nelder_mead(count, steps, seed)
    write_lives(out, data)
    say(f"{out}: {data.card.title}, {len(data)} lives, {data.steps} steps", facts_of(out, data), as_json)
