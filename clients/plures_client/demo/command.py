"""`plures demo`: imitate people, become one of them, serve copies, solve a problem with them, and show it all."""

import json
import platform
import shutil
import time
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console

from ..client import Client
from . import chapters
from .become import Becoming, become
from .copies import Crowd, live_sessions, run_crowd
from .learned import Learned
from .people import Person, read_people
from .plots import draw_becoming, draw_learned, draw_solved
from .programs import run_plures, served
from .report import write_report
from .solving import Solved, solve

DATA_SET = "dezfouli2019_bandit"
STUDENT = "bandit"
COPIES_A_PERSON = 50


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out/demo"), show_default=True)
@click.option("--copies", type=click.IntRange(10, 1_000_000), default=100_000, show_default=True)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=1.8, show_default=True, help="Of training.")
@click.option("--force", is_flag=True, help="Replace --out if it is there.")
def demo(out: Path, copies: int, minutes: float, force: bool) -> None:
    """Imitate real people, serve copies of them, solve a problem together; write a report."""
    began = time.perf_counter()
    _make_room(out, force)
    console = Console()
    console.rule("1. Imitate")
    learned, seconds = _imitate(out, minutes)
    people = read_people(out / "lives" / "test")
    with served(out / "students", out / "server", out / "server.log") as address, Client(address) as client:
        becoming, crowd, results = _live_and_solve(client, people, copies, out, console)
    console.rule("5. Report")
    run_plures("fidelity", out / "lives" / "test", out / "lives" / "copies", "--out", out / "fidelity")
    _report(out, learned, seconds, becoming, crowd, results, time.perf_counter() - began)
    _summarise(console, learned, becoming, crowd, results)
    console.print(f"Report: {out / 'report.html'}")


def _make_room(out: Path, force: bool) -> None:
    if out.exists():
        if not force:
            raise click.ClickException(f"{out} exists; name another folder with --out, or replace it with --force")
        shutil.rmtree(out)
    out.mkdir(parents=True)


def _imitate(out: Path, minutes: float) -> tuple[Learned, float]:
    lives, student = out / "lives", out / "students" / STUDENT
    run_plures("lives", "copy", DATA_SET, lives / "all")
    run_plures("lives", "split", lives / "all", "--out", lives / "train", lives / "test")
    began = time.perf_counter()
    run_plures("imitate", lives / "train", "--test", lives / "test", "--out", student, "--minutes", str(minutes))
    return Learned.read(student / "report.json"), time.perf_counter() - began


def _live_and_solve(
    client: Client, people: list[Person], copies: int, out: Path, console: Console
) -> tuple[Becoming, Crowd, list[Solved]]:
    console.rule("2. Become someone")
    agents, becoming = become(client, STUDENT, people, "people")
    console.rule("3. Serve the copies")
    joe = max(range(len(people)), key=lambda p: len(people[p]))
    cohort, crowd = run_crowd(agents, joe, people[joe], copies)
    card = (out / "lives" / "test" / "card.json").read_text()
    live_sessions(client, STUDENT, people, COPIES_A_PERSON, out / "lives" / "copies", card)
    console.rule("4. Solve a problem together")
    sizes = [n for n in (1, 10, 100, 1_000, 10_000) if n <= copies]
    return becoming, crowd, solve(cohort, sizes, people[joe].seconds_per_decision)


def _report(
    out: Path,
    learned: Learned,
    seconds: float,
    becoming: Becoming,
    crowd: Crowd,
    results: list[Solved],
    whole: float,
) -> None:
    pictures = {name: out / f"{name}.png" for name in ("learned", "becoming", "solved")}
    draw_learned(pictures["learned"], learned)
    draw_becoming(pictures["becoming"], becoming)
    draw_solved(pictures["solved"], results)
    shutil.copy(out / "fidelity" / "behaviour.png", out / "behaviour.png")
    parts = [
        chapters.imitated(learned, seconds, pictures["learned"]),
        chapters.became(becoming, pictures["becoming"]),
        chapters.served(crowd, out / "behaviour.png"),
        chapters.solved(results, pictures["solved"]),
    ]
    subtitle = "From recorded people to copies that learn on and work together. Every number was measured in this run."
    footer = (
        f"Plures {version('plures')}, {datetime.now():%Y-%m-%d %H:%M}, {platform.machine()}, {whole:.0f} s in all. "
        "Data: Dezfouli et al. (2019), PLoS Comput Biol 15(6): e1006903."
    )
    write_report(out / "report.html", subtitle, parts, footer)
    figures = {
        "learned": asdict(learned),
        "becoming": {"gain": becoming.gain, "standard_error": becoming.standard_error},
        "crowd": asdict(crowd),
        "solved": [asdict(each) for each in results],
    }
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


def _summarise(console: Console, learned: Learned, becoming: Becoming, crowd: Crowd, results: list[Solved]) -> None:
    """The four findings, a line each."""
    for part in (
        chapters.imitated(learned, 0, Path()),
        chapters.became(becoming, Path()),
        chapters.served(crowd, Path()),
        chapters.solved(results, Path()),
    ):
        console.print(f"[bold]{part.title}.[/bold] {part.headline}")
