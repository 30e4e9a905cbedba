"""`plures lineage`: where agents come from."""

from typing import TYPE_CHECKING

import click

from .cohorts import ordinals_option
from .connect import connected
from .output import Row, json_option, print_json, print_table

if TYPE_CHECKING:
    from ..lineage import Event


@click.command()
@click.argument("cohort")
@ordinals_option
@json_option
def lineage(cohort: str, ordinals: range | None, as_json: bool) -> None:
    """Show what happened to COHORT's agents and to all their ancestors, oldest first."""
    with connected() as client:
        events = list(client.cohort(cohort).lineage(ordinals).events)
    if as_json:
        return print_json(events)
    return print_table(["event", "cohort", "agents", "steps behind them", "of"], [_row(event) for event in events])


def _row(event: "Event") -> Row:
    steps = f"{event.step.min():,} to {event.step.max():,}"
    return event.kind, event.cohort, len(event.ordinals), steps, _origin(event) or None


def _origin(event: "Event") -> str:
    if event.snapshot:
        return f"snapshot {event.snapshot}"
    return ", ".join(parents.cohort for parents in event.parents)
