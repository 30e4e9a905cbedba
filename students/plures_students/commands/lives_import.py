"""`plures lives import-minari` and `plures lives rollout`: lives from where others keep or make them."""

from pathlib import Path
from typing import Literal

import click

from ..lives import Lives, import_minari, rollout, write_lives
from .failing import fails_in_words
from .fresh import refuse_existing
from .output import facts_of, json_option, say

DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command("import-minari")
@click.argument("dataset")
@click.option("--out", type=DIRECTORY, required=True)
@click.option(
    "--life-is", type=click.Choice(["episode", "dataset"]), default="episode", show_default=True,
    help="An episode each; or all, in order, for an agent that learned throughout.",
)  # fmt: skip
@json_option
@fails_in_words
def minari(dataset: str, out: Path, life_is: Literal["episode", "dataset"], as_json: bool) -> None:
    """Make a data set of a Minari DATASET that is on this machine, e.g. D4RL/door/human-v2."""
    _write(out, import_minari(dataset, life_is), as_json)


@click.command("rollout")
@click.argument("environment")
@click.option("--agent", default="random", show_default=True, help="Or MODULE:FUNCTION, of (environment, seed).")
@click.option("--lives", "count", type=click.IntRange(1), required=True, help="How many lives.")
@click.option("--steps", type=click.IntRange(1), required=True, help="Steps of each life, over its episodes.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--out", type=DIRECTORY, required=True)
@json_option
@fails_in_words
def rollout_(environment: str, agent: str, count: int, steps: int, seed: int, out: Path, as_json: bool) -> None:
    """Record agents in a gymnasium ENVIRONMENT, e.g. CartPole-v1.

    FUNCTION makes a newborn agent: what takes (observation, reward, done), the latter two of its last action, and
    gives an action. It may learn.
    """
    _write(out, rollout(environment, agent, count, steps, seed), as_json)


def _write(out: Path, data: Lives, as_json: bool) -> None:
    refuse_existing(out)
    write_lives(out, data)
    say(f"{out}: {data.card.title}, {len(data)} lives, {data.steps} steps", facts_of(out, data), as_json)
