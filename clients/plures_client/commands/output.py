"""How commands print: tables for people, JSON for scripts."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..aio.becoming import OnProgress

Row: TypeAlias = tuple[str | float | None, ...]

PIPE_COLUMNS = 1_000

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
json_lines_option = click.option(
    "--json", is_flag=True, expose_value=False, help="Print JSON, one record a line, as without this."
)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(_plain(value), indent=2, default=_listed))


def print_json_line(value: Any) -> None:
    """One line of JSON on standard output."""
    click.echo(json.dumps(_plain(value)))


def print_table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    """A table with as many columns; numbers stand to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(columns):
        is_number = any(isinstance(row[place], int | float) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, row))
    console = Console()
    if not console.is_terminal:
        # A pipe has no width to fit: what rich would cut off to fit 80 columns is lost there.
        console.width = max(console.width, PIPE_COLUMNS)
    console.print(table)


@contextmanager
def progress_bar(what: str, hidden: bool) -> "Iterator[OnProgress]":
    """A bar on the terminal, if there is one; it is told how much is done, and of how much."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=hidden or not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def human_bytes(count: int) -> str:
    """1536 → 1.5 KiB."""
    amount, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:.0f} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _listed(array: "NDArray[Any]") -> Any:
    return array.tolist()
