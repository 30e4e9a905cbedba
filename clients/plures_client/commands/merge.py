"""`plures merge`: one agent of what several have learned."""

from typing import TYPE_CHECKING

import click

from .cohorts import durability_option, ordinal_range, seed_option, show
from .connect import connected
from .output import json_option

if TYPE_CHECKING:
    from ..client import Client
    from ..durability import Level


def member(text: str) -> tuple[str, range | None]:
    """`joe`, `joe:7`, or `joe:0-99`."""
    cohort, colon, ordinals = text.partition(":")
    return cohort, ordinal_range(ordinals) if colon else None


@click.command()
@click.argument("name")
@click.argument("members", type=member, nargs=-1, required=True, metavar="COHORT[:RANGE]...")
@click.option("--weight", type=float, help="By which what each agent has learned counts.  [default: 1 / agents]")
@click.option("--copies", type=click.IntRange(1, 2**32 - 1), default=1, help="Agents to start.")
@click.option("--from-newborn", is_flag=True, help="Count what was learned from birth on, not since lives parted.")
@seed_option
@durability_option
@json_option
def merge(
    name: str,
    members: tuple[tuple[str, range | None], ...],
    weight: float | None,
    copies: int,
    from_newborn: bool,
    seed: int,
    durability: "Level | None",
    as_json: bool,
) -> None:
    """Start cohort NAME of copies of one agent, merged of all agents of cohorts or of those named."""
    named = dict(members)
    if len(named) < len(members):
        raise click.UsageError("a cohort is named more than once; name it once, with one range")
    with connected() as client:
        merged = client.cohorts.merge(
            name,
            named,
            weights=None if weight is None else _weights(client, named, weight),
            copies=copies,
            seed=seed,
            from_newborn=from_newborn,
            durability=durability,
        )
        show([merged.describe()], as_json)


def _weights(client: "Client", members: dict[str, range | None], weight: float) -> dict[str, list[float]]:
    agents = {
        cohort: client.cohort(cohort).describe().alive if ordinals is None else len(ordinals)
        for cohort, ordinals in members.items()
    }
    return {cohort: [weight] * count for cohort, count in agents.items()}
