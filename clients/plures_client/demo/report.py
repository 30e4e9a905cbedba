"""A report: one HTML file with everything in it, pictures included."""

import base64
import html
from dataclasses import dataclass
from pathlib import Path

CSS = """
:root { color-scheme: light; --ink: #222; --muted: #777; --line: #e4e4e4; --accent: #d1603d; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.9rem; margin-bottom: 0; } h1 + p { color: var(--muted); margin-top: .2rem; }
h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1.2rem; }
img { max-width: 100%; height: auto; display: block; margin: 1.2rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .5rem; border-bottom: 1px solid var(--line); }
th { color: var(--muted); font-weight: 500; } th:first-child, td:first-child { text-align: left; }
.headline { font-size: 1.15rem; border-left: 3px solid var(--accent); padding-left: .8rem; }
footer { color: var(--muted); font-size: .85rem; margin-top: 3rem; }
"""


@dataclass(frozen=True)
class Chapter:
    """A part of the report: what was found in one sentence, how, a table (head first), pictures."""

    title: str
    headline: str
    text: str
    table: list[list[str]]
    pictures: list[Path]


def write_report(
    path: Path, subtitle: str, chapters: list[Chapter], footer: str, title: str = "Plures: the demo"
) -> None:
    """Write the chapters as a page that needs no other file."""
    body = "\n".join(_chapter(number, chapter) for number, chapter in enumerate(chapters, 1))
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{CSS}</style></head><body>'
        f"<h1>Ex uno, plures</h1><p>{html.escape(subtitle)}</p>\n{body}\n"
        f"<footer>{html.escape(footer)}</footer></body></html>\n"
    )


def _chapter(number: int, chapter: Chapter) -> str:
    pictures = "".join(_picture(path) for path in chapter.pictures)
    return (
        f'<h2>{number}. {html.escape(chapter.title)}</h2><p class="headline">{html.escape(chapter.headline)}</p>'
        f"<p>{html.escape(chapter.text)}</p>{_table(chapter.table)}{pictures}"
    )


def _table(rows: list[list[str]]) -> str:
    if not rows:
        return ""
    head, *body = ("".join(f"<{{0}}>{html.escape(cell)}</{{0}}>" for cell in row) for row in rows)
    lines = "".join(f"<tr>{row.format('td')}</tr>" for row in body)
    return f"<table><thead><tr>{head.format('th')}</tr></thead><tbody>{lines}</tbody></table>"


def _picture(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,{data}">'
