"""The report of one run: a page that a person likes to read."""

from pathlib import Path
from tempfile import TemporaryDirectory

from ..demo.report import write_report
from .chapters import chapters
from .pictures import draw_all
from .speedup import Speedup


def write(path: Path, found: Speedup) -> None:
    """One HTML file with everything in it."""
    settings, facts = found.settings, found.facts
    subtitle = (
        f"{settings.student} on {settings.task}, beside a teacher who takes {settings.teacher_seconds:g} s a decision"
    )
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    footer = (
        f"{facts['machine']}, stepped on {facts['device']}; {versions}; commit {facts['commit']}; {facts['measured']}; "
        f"seed {settings.seed}; {settings.repeats} repeats after one that does not count."
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        pictures = draw_all(found, Path(folder))
        write_report(path, subtitle, chapters(found, pictures), footer, title="Plures: how many times faster")
