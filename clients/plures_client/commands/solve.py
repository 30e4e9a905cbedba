"""`plures solve`: let the copies of a cohort solve a problem together, and see what that buys."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .added import what_is_missing
from .connect import connected
from .output import json_option, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from ..solving import Budget, Comparison, Plan
    from ..sync import Cohort

PROBLEMS = ("best-arm", "branches", "exploration", "goal-search", "minimise", "portfolio")


def setting(text: str) -> tuple[str, str]:
    """`dimension=10`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def in_a_folder(ctx: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """What would be missed only when all is done."""
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}; make it first", ctx, option)
    return path


_NEW_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("problem", type=click.Choice(PROBLEMS))
@click.option("--cohort", required=True, help="Whose copies work; their student must fit the problem's task.")
@click.option("--strategy", help="One of the problem's; `one` is a copy alone. [default: the problem's last]")
@click.option("--compare", "comparing", is_flag=True, help="All strategies, at equal total steps, over --seeds seeds.")
@click.option("--copies", type=click.IntRange(1), help="The first so many of the cohort. [default: all]")
@click.option("--steps", type=click.IntRange(1), default=400, help="Steps for each copy.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the problem, and of all that is drawn; the first.")
@click.option("--seeds", type=click.IntRange(2), default=10, help="Problems to compare on.")
@click.option("--set", "settings", type=setting, multiple=True, metavar="NAME=VALUE", help="A setting of the problem.")
@click.option("--sweep", is_flag=True, help="With --compare: also 1, 2, 4, … copies, and the laws they follow.")
@click.option("--manifest", type=_NEW_FILE, callback=in_a_folder, help="Where to note how to go on.")
@click.option("--picture", type=_NEW_FILE, callback=in_a_folder, help="With --compare: draw it (matplotlib).")
@json_option
def solve(
    problem: str,
    cohort: str,
    strategy: str | None,
    comparing: bool,
    copies: int | None,
    steps: int,
    seed: int,
    seeds: int,
    settings: Sequence[tuple[str, str]],
    sweep: bool,
    manifest: Path | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Solve PROBLEM with the copies of a cohort.

    One that was killed goes on when it is called again with the same --manifest and settings.
    """
    from ..solving import Budget

    _require_fit(comparing, {"--strategy": strategy, "--manifest": manifest}, {"--sweep": sweep, "--picture": picture})
    with connected() as client:
        crowd = client.cohort(cohort)
        budget = Budget(copies or crowd.describe().alive, steps, seed)
        if comparing:
            _compare(crowd, problem, budget, seeds, dict(settings), sweep, picture, as_json)
        else:
            _solve(crowd, problem, budget, strategy, dict(settings), manifest, as_json)


def _require_fit(comparing: bool, of_one: dict[str, object], of_comparisons: dict[str, object]) -> None:
    """Refuse options that would not be heeded."""
    for name, given in (of_one if comparing else of_comparisons).items():
        if given:
            fit = "one solution, not for --compare" if comparing else "--compare"
            raise click.UsageError(f"{name} is for {fit}")


def _solve(
    crowd: "Cohort",
    problem: str,
    budget: "Budget",
    strategy: str | None,
    settings: dict[str, str],
    manifest: Path | None,
    as_json: bool,
) -> None:
    from ..solving import CASES

    case = CASES[problem]
    way = strategy or list(case.ways)[-1]
    plan = case.plan(way, budget, settings)
    answer = _watched(crowd, plan, manifest, hidden=as_json)
    told = {
        "strategy": way,
        "steps": plan.steps,
        "quality": case.quality(answer),
        "is_right": case.is_right(answer),
        "answer": dataclasses.asdict(answer),
    }
    if as_json:
        return print_json(told)
    click.echo(f"{answer}")
    checked = "checked" if told["is_right"] else "WRONG: it does not hold what it says"
    return click.echo(f"{way}: {told['quality']:.4g} ({case.unit}), {checked}; {plan.steps:,} steps")


def _watched(crowd: "Cohort", plan: "Plan", manifest: Path | None, hidden: bool) -> Any:
    from rich.console import Console

    from ..coordinators import progress_bar as coordinators_bar
    from ..coordinators.progress import quietly

    shown = not hidden and Console().is_terminal
    with coordinators_bar() if shown else nullcontext(quietly) as report:
        return crowd.solve(dataclasses.replace(plan.strategy, report=report, manifest=manifest), plan.problem)


def _compare(
    crowd: "Cohort",
    problem: str,
    budget: "Budget",
    seeds: int,
    settings: dict[str, str],
    with_sweep: bool,
    picture: Path | None,
    as_json: bool,
) -> None:
    from ..solving import compare, sweep
    from ..solving.compare import require_sweep
    from ..solving.report import document

    sizes = [2**power for power in range(budget.copies.bit_length())]
    draw = _drawer(picture) if picture else None
    if with_sweep:
        require_sweep(problem, budget, sizes, settings)
    with progress_bar("comparing", hidden=as_json) as on_trial:
        found = compare(crowd, problem, budget, seeds=seeds, settings=settings, on_trial=on_trial)
    if with_sweep:
        with progress_bar("sweeping", hidden=as_json) as on_trial:
            swept = sweep(crowd, problem, budget, sizes=sizes, seeds=seeds, settings=settings, on_trial=on_trial)
        found = dataclasses.replace(found, swept=swept)
    if draw:
        draw(found)
    print_json(document(found)) if as_json else _show(found)


def _drawer(path: Path) -> "Callable[[Comparison], None]":
    """Asked for before anything is solved: without matplotlib, or in a format of its own, there would be no picture."""
    try:
        from ..solving.picture import FORMATS, draw
    except ModuleNotFoundError as error:
        raise click.ClickException(what_is_missing("solve --picture", error.name or str(error))) from error
    if path.suffix.removeprefix(".") not in FORMATS:
        raise click.UsageError(f"{path} is no picture; its name ends with one of .{', .'.join(sorted(FORMATS))}")
    return lambda found: draw(found, path)


def _show(found: "Comparison") -> None:
    from ..solving.report import laws

    click.echo(f"{found.problem}: {found.copies:,} copies × {found.steps:,} steps; quality is {found.unit}")
    columns = ["strategy", "quality", "±", "gain over one", "±", "seconds", "±", "right", "of", "steps"]
    print_table(columns, [dataclasses.astuple(standing) for standing in found.standings()])
    if found.chance is not None:
        click.echo(f"at random: {found.chance:.4g}")
    for name, law in laws(found).items():
        fitted = ", ".join(f"{key} = {value:.4g} ± {law.errors[key]:.2g}" for key, value in law.parameters.items())
        click.echo(f"{name} = {law.formula}: {fitted}; off by {law.relative_error:.0%}")
