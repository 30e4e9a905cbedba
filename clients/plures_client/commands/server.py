"""`plures students`, `plures tasks`, `plures pool`: what a server has."""

from typing import TYPE_CHECKING

import click

from .connect import connected
from .output import human_bytes, json_option, print_json, print_table

if TYPE_CHECKING:
    from ..records import StudentInfo


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def students(ctx: click.Context, as_json: bool) -> None:
    """List the students that agents can be started of; load and unload them."""
    if ctx.invoked_subcommand is not None:
        return
    with connected() as client:
        _show(client.students.list(), as_json)


@students.command()
@click.argument("name")
@json_option
def load(name: str, as_json: bool) -> None:
    """Load student NAME from the server's folder; NAME@2 is its second version."""
    with connected() as client:
        _show([client.students.load(name)], as_json)


@students.command()
@click.argument("name")
@json_option
def unload(name: str, as_json: bool) -> None:
    """Forget student NAME, of which no agent is alive."""
    with connected() as client:
        client.students.unload(name)
    print_json({"unloaded": name}) if as_json else click.echo(f"{name} unloaded")


def _show(found: "list[StudentInfo]", as_json: bool) -> None:
    if as_json:
        return print_json(found)
    return print_table(
        ["student", "version", "rule", "parameters", "an agent's state", "horizon"],
        [(s.name, s.version, s.rule, s.parameters, human_bytes(s.page_bytes), s.horizon) for s in found],
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
