"""What commands say: tables and bars for people, or one JSON document for scripts, alone on standard output."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..lives import Lives

PIPE_COLUMNS = 1_000

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; what is for people goes to stderr.")


def console_for(as_json: bool) -> Console:
    """Where people read."""
    console = Console(stderr=as_json)
    if not console.is_terminal:
        # A pipe has no width that tables would have to be folded to.
        console.width = max(console.width, PIPE_COLUMNS)
    return console


def print_json(value: Any, as_json: bool) -> None:
    """The document, if one was asked for."""
    if as_json:
        click.echo(json.dumps(value, indent=2))


def say(sentence: str, facts: Any, as_json: bool) -> None:
    """What was done, in words or in JSON."""
    click.echo(json.dumps(facts, indent=2) if as_json else sentence)


def facts_of(out: Path, data: Lives) -> dict[str, Any]:
    """Of lives that were written: where, and how many."""
    return {"out": str(out), "title": data.card.title, "lives": len(data), "steps": data.steps}
