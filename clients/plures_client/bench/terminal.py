"""The tables of one run on a terminal."""

from rich.console import Console
from rich.table import Table

from ..demo.report import Chapter
from .chapters import chapters
from .speedup import Speedup


def show(found: Speedup, console: Console) -> None:
    """Each part's table, and what it comes to in a sentence."""
    console.print(f"{found.facts['machine']}; {found.facts['device']}; commit {found.facts['commit']}", highlight=False)
    for part in chapters(found, {}):
        console.print(_table(part))
        console.print(part.headline + "\n", highlight=False)


def _table(part: Chapter) -> Table:
    head, *rows = part.table
    table = Table(title=part.title, title_justify="left", box=None, pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    return table
