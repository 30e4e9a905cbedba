"""The document: a function of the results alone, so that it can be held to them."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from .pictures import draw
from .studies import FOLDS
from .tables import bandit_rows, load_rows, speed_rows, table, told_apart_table

PICTURES = "imitation"
_TEXTS = files(__package__) / "texts"


def write_document(document: Path, found: dict[str, Any]) -> None:
    """Write the document, and its pictures to a folder beside it."""
    pictures = document.parent / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    for name, painter in draw(found).items():
        painter(pictures / f"{name}.png")
    document.write_text(text(found))


def text(found: dict[str, Any]) -> str:
    """The whole document, in Markdown."""
    references = json.loads((files(__package__) / "references.json").read_text())
    sections = [_prose("beginning")]
    if "bandit" in found:
        rows = bandit_rows(found["bandit"], references["bandit"])
        sections += [
            _prose("bandit"),
            table(rows, _so_far(found, "bandit")),
            references["bandit"]["source"],
            _picture("bandit"),
            _prose("told_apart"),
            told_apart_table(found["bandit"]["open_loop"]),
        ]
    if "load" in found:
        rows = load_rows(found["load"], references["load"])
        sections += [
            _prose("load"),
            table(rows, _so_far(found, "load")),
            references["load"]["source"],
            _picture("load"),
        ]
    if "speed" in found:
        sections += [_prose("speed"), table(speed_rows(found["speed"], references["speed_aim"]))]
    return "\n\n".join([*sections, _prose("students"), _students(found["units"]), _prose("tried")]) + "\n"


def _so_far(found: dict[str, Any], study: str) -> str:
    """Folds differ more than models do: a verdict on some of them is not yet one."""
    folds = {unit["fold"] for unit in found["units"] if unit["study"] == study}
    return "" if len(folds) == FOLDS else f", on {len(folds)} of {FOLDS} folds"


def _prose(name: str) -> str:
    return (_TEXTS / f"{name}.md").read_text().strip()


def _picture(name: str) -> str:
    return f"![People and copies]({PICTURES}/{name}.png)"


def _students(units: list[dict[str, Any]]) -> str:
    lines = ["| students of | seed | folds | steps | seconds of training |", "|---|---|---|---|---|"]
    for study, seed in sorted({(unit["study"], unit["seed"]) for unit in units}):
        those = [unit for unit in units if (unit["study"], unit["seed"]) == (study, seed)]
        span = " to ".join(f"{seconds:.0f}" for seconds in _ends([unit["seconds"] for unit in those]))
        lines.append(f"| {study} | {seed} | {len(those)} of {FOLDS} | {those[0]['steps']:,} | {span} |")
    return "\n".join(lines)


def _ends(values: list[float]) -> list[float]:
    return sorted({min(values), max(values)})
