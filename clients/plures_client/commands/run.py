"""`plures run`: a task on a cohort's agents, with a progress bar."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .cohorts import ordinals_option, seed_option
from .connect import connected
from .output import json_option, print_json, print_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..results import RunResult
    from ..sync import Run


def parameter(text: str) -> tuple[str, float]:
    """`p_0=0.3`."""
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not of the form NAME=NUMBER") from None


@click.command()
@click.argument("cohort")
@click.argument("task")
@click.option("--param", "parameters", type=parameter, multiple=True, metavar="NAME=NUMBER", help="May be repeated.")
@click.option("--steps", type=click.IntRange(1, 2**32 - 1), required=True, help="Steps each agent makes.")
@ordinals_option
@seed_option
@json_option
def run(
    cohort: str,
    task: str,
    parameters: Sequence[tuple[str, float]],
    steps: int,
    ordinals: range | None,
    seed: int,
    as_json: bool,
) -> None:
    """Run TASK on every agent of COHORT, or on those named."""
    with (
        connected() as client,
        client.cohort(cohort).run(task, dict(parameters), steps=steps, seed=seed, ordinals=ordinals) as running,
    ):
        _watch(running, hidden=as_json)
        result = running.result()
    _show(result, as_json)


def _watch(running: "Run", hidden: bool) -> None:
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from ..results import RunProgress

    console = Console(stderr=True)
    rate = TextColumn("{task.fields[rate]:,.0f} agent-steps/s, mean reward {task.fields[reward]:.3f}")
    columns = (*Progress.get_default_columns(), TimeElapsedColumn(), rate)
    hidden = hidden or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        ticks = bar.add_task("ticks", total=None, rate=0.0, reward=0.0)
        for event in running:
            if isinstance(event, RunProgress):
                rate_now = event.agent_steps / max(event.seconds, 1e-9)
                bar.update(ticks, completed=event.tick, total=event.ticks, rate=rate_now, reward=event.mean_reward)


def _show(result: "RunResult", as_json: bool) -> None:
    summary = {name: _spread(result.column(name)) for name in result.columns}
    agents, steps, seconds = len(result.summary), result.agent_steps, result.seconds
    if as_json:
        return print_json({"agents": agents, "agent_steps": steps, "seconds": seconds, "summary": summary})
    click.echo(f"{agents:,} agents, {steps:,} steps in {seconds:.3f} s ({steps / max(seconds, 1e-9):,.0f}/s)")
    return print_table(
        ["an agent's", "mean", "least", "most"], [(name, *row.values()) for name, row in summary.items()]
    )


def _spread(values: "NDArray[Any]") -> dict[str, float]:
    return {"mean": float(values.mean()), "min": float(values.min()), "max": float(values.max())}
