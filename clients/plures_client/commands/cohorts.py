"""`plures cohorts`: start, copy, save and end agents."""

import re
from typing import TYPE_CHECKING

import click

from .connect import connected
from .output import Row, human_bytes, json_option, print_json, print_table

if TYPE_CHECKING:
    from ..durability import Level
    from ..horizon import HorizonPolicy
    from ..records import CohortInfo


def ordinal_range(text: str) -> range:
    """`7`, or `0-99` with both ends."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if found is None or int(found[2] or found[1]) < int(found[1]):
        raise click.BadParameter(f"{text!r} is neither an ordinal (7) nor a range of them (0-99)")
    return range(int(found[1]), int(found[2] or found[1]) + 1)


ordinals_option = click.option(
    "--ordinals", type=ordinal_range, metavar="RANGE", help="Which agents: 7, or 0-99.  [default: all]"
)
durability_option = click.option(
    "--durability",
    type=click.Choice(["none", "snapshot", "log"]),
    default=None,
    help="What outlives the server: nothing, the last automatic snapshot, every acknowledged step.",
)
horizon_option = click.option(
    "--horizon",
    "horizon_policy",
    type=click.Choice(["ignore", "warn", "retire", "reanchor"]),
    default=None,
    help="What becomes of agents that outlive their student's horizon: nothing, a warning, their end, a new birth.",
)
seed_option = click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0)


@click.group()
def cohorts() -> None:
    """Start, list, fork, save and retire cohorts of agents."""


@cohorts.command("list")
@json_option
def list_cohorts(as_json: bool) -> None:
    """List all cohorts."""
    with connected() as client:
        show(client.cohorts.list(), as_json)


@cohorts.command()
@click.argument("cohort")
@click.option("--student", required=True)
@click.option("--count", type=click.IntRange(1, 2**32 - 1), required=True, help="Agents to start.")
@seed_option
@durability_option
@horizon_option
@json_option
def start(
    cohort: str,
    student: str,
    count: int,
    seed: int,
    durability: "Level | None",
    horizon_policy: "HorizonPolicy | None",
    as_json: bool,
) -> None:
    """Start COHORT of newborn agents."""
    with connected() as client:
        started = client.cohorts.start(
            cohort, student=student, count=count, seed=seed, durability=durability, horizon_policy=horizon_policy
        )
        show([started.describe()], as_json)


@cohorts.command()
@click.argument("cohort")
@click.argument("name")
@ordinals_option
@click.option("--copies", type=click.IntRange(1, 2**32 - 1), default=1, help="Copies of each agent.")
@seed_option
@durability_option
@json_option
def fork(
    cohort: str,
    name: str,
    ordinals: range | None,
    copies: int,
    seed: int,
    durability: "Level | None",
    as_json: bool,
) -> None:
    """Start cohort NAME of copies of COHORT's agents as they are now; as durable, if nothing else is said."""
    with connected() as client:
        forked = client.cohort(cohort).fork(name, ordinals, copies=copies, seed=seed, durability=durability)
        show([forked.describe()], as_json)


@cohorts.command()
@click.argument("cohort")
@ordinals_option
@json_option
def retire(cohort: str, ordinals: range | None, as_json: bool) -> None:
    """End COHORT's agents."""
    with connected() as client:
        retired = client.cohort(cohort).retire(ordinals)
    print_json({"retired": retired}) if as_json else click.echo(f"{retired:,} agents retired")


@cohorts.command()
@click.argument("cohort")
@click.argument("snapshot")
@json_option
def snapshot(cohort: str, snapshot: str, as_json: bool) -> None:
    """Write COHORT to the server's folder as SNAPSHOT."""
    with connected() as client:
        written = client.cohort(cohort).snapshot(snapshot)
    if as_json:
        return print_json(written)
    return click.echo(
        f"{written.name}: {written.agents:,} agents, {human_bytes(written.bytes)}, SHA-256 {written.digest}"
    )


@cohorts.command()
@click.argument("snapshot")
@click.argument("cohort")
@durability_option
@json_option
def restore(snapshot: str, cohort: str, durability: "Level | None", as_json: bool) -> None:
    """Start COHORT from SNAPSHOT."""
    with connected() as client:
        show([client.snapshots.restore(snapshot, cohort, durability=durability).describe()], as_json)


def show(found: "list[CohortInfo]", as_json: bool) -> None:
    """Cohorts, one a line."""
    if as_json:
        return print_json(found)
    return print_table(
        ["cohort", "student", "alive", "of", "steps", "states", "parent", "durability"], [_row(c) for c in found]
    )


def _row(cohort: "CohortInfo") -> Row:
    steps = f"{cohort.min_step:,} to {cohort.max_step:,}"
    states = human_bytes(cohort.state_bytes)
    of, durability = cohort.count, cohort.durability.level
    return cohort.name, cohort.student, cohort.alive, of, steps, states, cohort.parent, durability
