"""The figures of docs/coordinators.md, as its tables: `python bench/coordinators_table.py` prints them."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "coordinators.json"


def tables(path: Path = RESULTS) -> dict[str, list[str]]:
    """For each problem the lines of its table, and a line for each law."""
    return {row["name"]: _table(row) for row in json.loads(path.read_text())["rows"]}


def _table(row: dict[str, Any]) -> list[str]:
    lines = [_line(standing) for standing in row["standings"]]
    if row["chance"] is not None:
        lines.append(f"| at random | {row['chance']:.2f} | | | |")
    return [*lines, *(_law(name, law) for name, law in row["laws"].items())]


def _line(standing: dict[str, Any]) -> str:
    quality, gain, seconds = (
        f"{standing[name]:.2f} ± {standing[f'{name}_error']:.2f}" for name in ("quality", "gain", "seconds")
    )
    gain = "" if standing["way"] == "one" else gain
    return f"| `{standing['way']}` | {quality} | {gain} | {seconds} | {standing['right']} of {standing['trials']} |"


def _law(name: str, law: dict[str, Any]) -> str:
    fitted = ", ".join(f"{key} = {value:.3g} ± {law['errors'][key]:.1g}" for key, value in law["parameters"].items())
    return f"{name}: {fitted}; off by {law['relative_error']:.0%}"


if __name__ == "__main__":
    for problem, lines in tables().items():
        print(problem, *lines, "", sep="\n")
