"""`plures lives record-llm` and `plures lives text`: lives of language models, and of what was written."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import click
from plures_kernels.errors import InvalidArgument
from rich.progress import Progress

from ..lives import write_lives
from ..teachers import WORLDS, make
from ..text import cut, lives_of_text
from .failing import fails_in_words
from .fresh import refuse_existing
from .output import console_for, facts_of, json_option, say
from .settings import read_settings

DIRECTORY = click.Path(file_okay=False, path_type=Path)
KEY = "PLURES_LLM_KEY"


@click.command("record-llm")
@click.option("--endpoint", "url", required=True, help="OpenAI-compatible, up to and with /v1.")
@click.option("--model", required=True, help="The model's name there.")
@click.option("--world", type=click.Choice(sorted(WORLDS)), required=True)
@click.option("--lives", "count", type=click.IntRange(1), required=True, help="How many lives.")
@click.option("--steps", type=click.IntRange(1), required=True, help="Steps of each life.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--set", "settings", multiple=True, metavar="world.NAME=VALUE", help="A setting of the world.")
@click.option("--rate", type=float, default=None, help="Questions a second at most.")
@click.option("--tries", type=click.IntRange(1), default=5, show_default=True, help="Of a question that fails.")
@click.option("--asks", type=click.IntRange(1), default=3, show_default=True, help="Of a step, until an action comes.")
@click.option("--at-once", type=click.IntRange(1), default=8, show_default=True, help="Lives side by side.")
@click.option("--body", default="{}", metavar="JSON", help='Further entries of each request, e.g. {"temperature": 1}.')
@click.option("--out", type=DIRECTORY, required=True, help="The same folder again goes on where it was left.")
@json_option
@fails_in_words
def record_llm(
    url: str, model: str, world: str, count: int, steps: int, seed: int, settings: tuple[str, ...],
    rate: float | None, tries: int, asks: int, at_once: int, body: str, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Record the lives of a language model that learns in its context. A key, if one is needed: $PLURES_LLM_KEY."""
    from ..llm import Endpoint, EndpointSettings, Recording

    wanted = read_settings(settings)
    if wanted["learner"]:
        raise InvalidArgument(
            f"setting learner.{next(iter(wanted['learner']))}: the learner is {model}, which has none"
        )
    chosen = make(WORLDS, world, wanted["world"])
    asked = EndpointSettings(url, model, os.environ.get(KEY, ""), rate, tries, extra=_object(body))
    recording = Recording(chosen, model, count, steps, out, seed, asks, at_once)

    async def run() -> Any:
        with Progress(console=console_for(as_json)) as progress:
            task = progress.add_task("steps", total=count * steps)
            async with Endpoint(asked) as endpoint:
                return await recording.run(endpoint, lambda: progress.advance(task))

    data = asyncio.run(run())
    short = count - int((data.lengths == steps).sum())
    said = f"{out}: {data.card.title}, {len(data)} lives, {data.steps} steps, {short} ended early"
    say(said, facts_of(out, data) | {"ended_early": short}, as_json)


@click.command("text")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--bytes", "size", type=click.IntRange(2), default=1025, show_default=True, help="Of a life.")
@click.option("--licence", default="", help="On what terms the text may be used.")
@click.option("--out", type=DIRECTORY, required=True)
@json_option
@fails_in_words
def text(files: tuple[Path, ...], size: int, licence: str, out: Path, as_json: bool) -> None:
    """Make lives of text: a student that imitates them is a language model of bytes."""
    refuse_existing(out)
    pieces = [piece for file in files for piece in cut(file.read_bytes(), size)]
    names = ", ".join(file.name for file in files)
    data = lives_of_text(pieces, f"text of {names}", names, licence)
    write_lives(out, data)
    say(f"{out}: {len(data)} lives, {data.steps} bytes to foretell", facts_of(out, data), as_json)


def _object(text: str) -> dict[str, Any]:
    try:
        form = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"--body {text!r} is not JSON: {error}") from error
    if not isinstance(form, dict):
        raise InvalidArgument(f"--body {text!r} is not an object")
    return form
