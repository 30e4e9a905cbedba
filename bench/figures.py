"""Figures in README and docs: each is a link to the JSON that it came from, whose title says which value it is and how
it is written.

    [1.48 million](bench/results/serving-cpu.json "rows[what=server,agents=1000000].steps_per_second as M")

`--write` writes them all anew from the files; without it, what differs is listed and the exit status is 1.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/*.md", "bench/*.md", "deploy/*.md")
LINK = re.compile(r'\[(?P<text>[^\]\[]+)\]\((?P<file>[^)\s]+\.json) "(?P<value>[^"]+?) as (?P<form>[^"]+)"\)')
STEP = re.compile(r"(?P<name>[^.\[\]]+)?(?:\[(?P<pick>[^\]]+)\])?(?:\.|$)")
FORMS: dict[str, Callable[[Any], str]] = {
    "count": "{:,.0f}".format,
    "share": "{:.0%}".format,
    "times": lambda value: f"{value:,.0f}×" if value >= 10 else f"{value:.2g}×",
    "M": lambda value: f"{value / 1e6:.2f} million",
    "text": str,
}
"""Beside these, any format specification of Python's, such as `.2f`."""


@dataclass(frozen=True)
class Figure:
    """One linked figure: what the page says, and what the file does."""

    page: Path
    said: str
    file: Path
    value: str
    form: str

    def told(self) -> str:
        """What the file says, written as the link wants; click.ClickException when it says nothing of the kind."""
        try:
            found = look_up(json.loads(self.file.read_text()), self.value)
            return FORMS[self.form](found) if self.form in FORMS else format(found, self.form)
        except (OSError, KeyError, IndexError, ValueError, TypeError) as error:
            raise click.ClickException(f"{self.page}: {self.value} is not in {self.file.name}: {error!r}") from error


def look_up(document: Any, path: str) -> Any:
    """`a.b`, `a[3].b`, or `rows[name=x,size=4].b`: the one row whose entries are these."""
    for step in STEP.finditer(path):
        if step["name"]:
            document = document[step["name"]]
        if step["pick"]:
            document = _pick(document, step["pick"])
    return document


def _pick(rows: list[Any], pick: str) -> Any:
    if re.fullmatch(r"-?\d+", pick):
        return rows[int(pick)]
    # A value may have commas in it.
    wanted = dict(part.split("=", 1) for part in re.split(r",(?=\w+=)", pick))
    [row] = [row for row in rows if all(str(row[name]) == value for name, value in wanted.items())]
    return row


def figures_of(page: Path) -> Iterator[Figure]:
    """All linked figures of a page."""
    for link in LINK.finditer(page.read_text()):
        yield Figure(page, link["text"], page.parent / link["file"], link["value"], link["form"])


def pages() -> list[Path]:
    return sorted(path for pattern in PAGES for path in ROOT.glob(pattern))


def rewritten(page: Path) -> str:
    """The page with what the files say."""

    def anew(link: re.Match[str]) -> str:
        figure = Figure(page, link["text"], page.parent / link["file"], link["value"], link["form"])
        return link[0].replace(f"[{link['text']}]", f"[{figure.told()}]", 1)

    return LINK.sub(anew, page.read_text())


@click.command()
@click.option("--write", is_flag=True, help="Write what the files say into the pages.")
def main(write: bool) -> None:
    """Compare the figures of README and docs with the files they came from."""
    if write:
        for page in pages():
            page.write_text(rewritten(page))
        return
    wrong = [figure for page in pages() for figure in figures_of(page) if figure.said != figure.told()]
    for figure in wrong:
        click.echo(f"{figure.page}: says {figure.said}, {figure.file.name} says {figure.told()} ({figure.value})")
    if wrong:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
