"""`plures paper`: every figure about people, made anew."""

from pathlib import Path
from typing import Any

import click

from ..paper import make_paper
from .failing import fails_in_words
from .output import console_for, json_option, print_json

DIRECTORY = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--out", type=DIRECTORY, default=Path("out/paper"), show_default=True, help="Students and their copies.")
@click.option("--results", type=FILE, default=Path("bench/results/paper.json"), show_default=True)
@click.option("--document", type=FILE, default=Path("docs/imitation.md"), show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Students of each fold.")
@click.option("--minutes", type=click.FloatRange(0), help="Begin no training later than that. [default: make all]")
@json_option
@fails_in_words
def paper(as_json: bool, **given: Any) -> None:
    """Train students on people, fold by fold, and write what they reach: results, document, pictures.

    What is there already is not made again; what was cut off goes on.
    """
    console = console_for(as_json)
    found = make_paper(**given, say=console.print)
    console.print(f"{len(found['units'])} students; {given['results']} and {given['document']} are written")
    print_json(found, as_json)
