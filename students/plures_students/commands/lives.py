"""`plures lives`: look at recorded lives, bring them in, cut them in two, copy those that are shipped."""

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from ..lives import (
    LivesError,
    Mapping,
    Summary,
    copy_shipped,
    import_csv,
    read_lives,
    shipped_names,
    split,
    stream_lives,
    summarise,
    write_lives,
)  # fmt: skip
from ..teachers import LEARNERS, WORLDS, make, record
from .failing import fails_in_words
from .fresh import refuse_existing
from .lives_import import minari, rollout_
from .lives_optimiser import nelder_mead
from .output import console_for, facts_of, json_option, print_json, say
from .record_llm import record_llm, text
from .settings import read_settings

DIRECTORY = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def lives() -> None:
    """Recorded lives: lives.parquet beside card.json."""


@lives.command()
@click.argument("directory", type=DIRECTORY)
@json_option
@fails_in_words
def describe(directory: Path, as_json: bool) -> None:
    """Check a data set, of any size, and say what is in it."""
    found = summarise(stream_lives(directory))
    console_for(as_json).print(_description(found, str(directory)))
    print_json(_facts(found), as_json)


def _description(data: Summary, title: str) -> Table:
    table = Table(title=title, show_header=False)
    lengths = np.array(data.lengths)
    rows = {
        "title": data.card.title,
        "lives": f"{len(lengths):,}",
        "steps": f"{data.steps:,} ({lengths.min():,} to {lengths.max():,} a life, median {np.median(lengths):,.0f})",
        "episodes": f"{data.episodes:,}",
        "observation": str(data.card.observation_space),
        "action": str(data.card.action_space),
        "reward": f"{data.lowest:g} to {data.highest:g}, mean {data.mean_reward:.4f}",
        "pace": f"{pace:g} s a decision (median)" if (pace := data.card.seconds_per_decision) else "",
        "also": ", ".join(data.extra),
        "source": data.card.source,
        "licence": data.card.licence,
        "citation": data.card.citation,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _facts(data: Summary) -> dict[str, Any]:
    card = data.card
    return {
        "title": card.title,
        "lives": len(data.lengths),
        "steps": data.steps,
        "steps_a_life": {"min": int(min(data.lengths)), "max": int(max(data.lengths))},
        "episodes": data.episodes,
        "observation": str(card.observation_space),
        "action": str(card.action_space),
        "reward": {"min": float(data.lowest), "max": float(data.highest), "mean": float(data.mean_reward)},
        "seconds_per_decision": card.seconds_per_decision,
        "also": list(data.extra),
        "source": card.source,
        "licence": card.licence,
        "citation": card.citation,
    }


@lives.command("import")
@click.argument("csv", type=FILE)
@click.option("--map", "map_file", type=FILE, required=True, help="TOML or JSON: the card, and which column is what.")
@click.option("--out", type=DIRECTORY, required=True)
@json_option
@fails_in_words
def import_(csv: Path, map_file: Path, out: Path, as_json: bool) -> None:
    """Make a data set of a CSV file (also gzipped)."""
    data = import_csv(csv, Mapping.load(map_file))
    refuse_existing(out)
    write_lives(out, data)
    say(f"{out}: {len(data)} lives, {data.steps} steps", facts_of(out, data), as_json)


@lives.command("split")
@click.argument("directory", type=DIRECTORY)
@click.option("--out", type=DIRECTORY, nargs=2, required=True, help="Two new directories.")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.8, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option
@fails_in_words
def split_(directory: Path, out: tuple[Path, Path], share: float, seed: int, as_json: bool) -> None:
    """Cut a data set in two by life: SHARE of the lives go to the first, the others to the second."""
    data = read_lives(directory)
    if len(data) < 2:
        raise LivesError(f"{directory} has one life; there is nothing to split")
    if out[0].resolve() == out[1].resolve():
        raise LivesError(f"{out[0]} is named twice; name two different directories")
    for target in out:
        refuse_existing(target)
    parts = dict(zip(out, split(data, share, seed), strict=True))
    for target, part in parts.items():
        write_lives(target, part)
    written = "\n".join(f"{target}: {len(part)} lives, {part.steps} steps" for target, part in parts.items())
    say(written, [facts_of(target, part) for target, part in parts.items()], as_json)


@lives.command()
@click.argument("name", type=click.Choice(shipped_names()))
@click.argument("directory", type=DIRECTORY)
@json_option
@fails_in_words
def copy(name: str, directory: Path, as_json: bool) -> None:
    """Copy a data set that comes with Plures to a new directory."""
    copy_shipped(name, directory)
    said = f"{directory}: {name}, with its licence and source note"
    say(said, {"out": str(directory), "name": name}, as_json)


@lives.command("record")
@click.option("--world", type=click.Choice(sorted(WORLDS)), required=True)
@click.option("--learner", type=click.Choice(sorted(LEARNERS)), required=True, help="The algorithm that lives.")
@click.option("--lives", "count", type=click.IntRange(1), required=True, help="How many lives.")
@click.option("--steps", type=click.IntRange(1), required=True, help="Steps of each life.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the learner or the world.")
@click.option("--out", type=DIRECTORY, required=True)
@json_option
@fails_in_words
def record_(
    world: str, learner: str, count: int, steps: int, seed: int, settings: tuple[str, ...], out: Path, as_json: bool
) -> None:
    """Record the lives of a teacher that is an algorithm, e.g. --set learner.epsilon=0.2 --set world.arms=3."""
    refuse_existing(out)
    wanted = read_settings(settings)
    data = record(make(WORLDS, world, wanted["world"]), make(LEARNERS, learner, wanted["learner"]), count, steps, seed)
    write_lives(out, data)
    say(f"{out}: {data.card.title}, {len(data)} lives, {data.steps} steps", facts_of(out, data), as_json)


lives.add_command(record_llm)
lives.add_command(text)
lives.add_command(minari)
lives.add_command(nelder_mead)
lives.add_command(rollout_)
