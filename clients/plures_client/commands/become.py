"""`plures become`: recorded lives replayed into agents."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .added import what_is_missing
from .cohorts import ordinals_option
from .connect import connected
from .output import json_option, print_json, progress_bar

if TYPE_CHECKING:
    from ..life import Life


@click.command()
@click.argument("cohort")
@click.argument("lives", type=click.Path(exists=True, path_type=Path))
@click.option("--life", type=int, metavar="ID", help="Only this life, for every agent.  [default: one life an agent]")
@ordinals_option
@json_option
def become(cohort: str, lives: Path, life: int | None, ordinals: range | None, as_json: bool) -> None:
    """Make COHORT's agents live the recorded LIVES: a folder with lives.parquet, or that file."""
    with connected() as client, progress_bar("steps", hidden=as_json) as on_progress:
        agents = client.cohort(cohort)
        chosen = _chosen(lives, life, client.students.get(agents.describe().student).observation_space)
        became = agents.become(chosen, ordinals, on_progress=on_progress)
    told = 1 if life is not None else len(chosen)
    if as_json:
        return print_json({"lives": told, "agent_steps": became.agent_steps})
    return click.echo(f"{became.agent_steps:,} steps of {told:,} lives replayed")


def _chosen(path: Path, life: int | None, observation_space: dict[str, Any]) -> "Life | list[Life]":
    try:
        from ..life_files import read_lives

        found = read_lives(path, observation_space.get("shape", ()))
    except ModuleNotFoundError as error:
        raise click.ClickException(what_is_missing("become", error.name or str(error))) from error
    if life is None:
        return list(found.values())
    if life not in found:
        raise click.ClickException(f"{path} has no life {life}; its first is {next(iter(found))}")
    return found[life]
