"""Pictures of what recovery found."""

from pathlib import Path
from typing import Any

import numpy as np

from ..fidelity.picture import figure_for

_INK = "#d1603d"


def draw_matrices(path: Path, report: dict[str, Any]) -> None:
    """Confusion and inversion matrix, side by side, as a PNG."""
    names = [name.replace("_", " ") for name in report["algorithms"]]
    titles = {"confusion": "Taken for, given what it was", "inversion": "What it was, given what it is taken for"}
    with figure_for(path, (10.4, 5.2)) as figure:
        for place, (kind, title) in enumerate(titles.items(), 1):
            _matrix(figure.add_subplot(1, 2, place), np.array(report[kind]), names, title)


def _matrix(axes: Any, share_SF: Any, names: list[str], title: str) -> None:
    axes.imshow(share_SF, cmap="Oranges", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_title(title)
    axes.set_xlabel("fitted, of lowest BIC")
    axes.set_ylabel("simulated")
    for (row, column), share in np.ndenumerate(share_SF):
        if share >= 0.005:
            shade = "white" if share > 0.6 else "#333333"
            axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=7, color=shade)


def draw_parameters(path: Path, report: dict[str, Any]) -> None:
    """Every parameter as it was and as it was found, life by life, as a PNG."""
    panels = [(name, key, found) for name, many in report["parameters"].items() for key, found in many.items()]
    columns = 5
    rows = -(-len(panels) // columns)
    with figure_for(path, (10.4, 2.1 * rows)) as figure:
        for place, (name, key, found) in enumerate(panels, 1):
            axes = figure.add_subplot(rows, columns, place)
            both = [min(found["true"] + found["found"]), max(found["true"] + found["found"])]
            axes.plot(both, both, color="#b0b0b0", linewidth=0.8)
            axes.scatter(found["true"], found["found"], s=7, color=_INK, alpha=0.7, linewidths=0)
            told = "" if found["r"] is None else f", r = {found['r']:.2f}"
            axes.set_title(f"{name}\n{key}".replace("_", " ") + told, fontsize=7.5)
        figure.supxlabel("as it was", fontsize=9)
        figure.supylabel("as found", fontsize=9)
