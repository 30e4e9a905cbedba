"""`plures students`, `plures tasks`, `plures pool`: what a server has."""

import click

from .connect import connected
from .output import human_bytes, json_option, print_json, print_table


@click.command()
@json_option
def students(as_json: bool) -> None:
    """List the students that agents can be started of."""
    with connected() as client:
        found = client.students.list()
    if as_json:
        return print_json(found)
    return print_table(
        ["student", "rule", "parameters", "an agent's state", "horizon"],
        [(s.name, s.rule, s.parameters, human_bytes(s.page_bytes), s.horizon) for s in found],
    )


@click.command()
@json_option
def tasks(as_json: bool) -> None:
    """List the tasks that run beside the agents."""
    with connected() as client:
        found = client.tasks.list()
    if as_json:
        return print_json(found)
    return print_table(
        ["task", "parameters", "summary"], [(t.name, ", ".join(t.parameters), ", ".join(t.summary)) for t in found]
    )


@click.command()
@json_option
def pool(as_json: bool) -> None:
    """Show how many agents and bytes the server has in use."""
    with connected() as client:
        usage = client.pool()
    if as_json:
        return print_json(usage)
    tiers = [f"{human_bytes(tier.bytes_used)} of {human_bytes(tier.bytes_capacity)}" for tier in usage.tiers]
    return print_table(
        ["device", "agents", "free", *(f"states, {tier.name}" for tier in usage.tiers)],
        [(usage.device, usage.agents, usage.agents_free, *tiers)],
    )
