"""The document's pictures."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..fidelity import draw_behaviour
from ..fidelity.picture import COLOURS, figure_for


def draw(found: dict[str, Any]) -> dict[str, Callable[[Path], None]]:
    """Who draws which picture of the results."""
    painters: dict[str, Callable[[Path], None]] = {}
    if "bandit" in found:
        painters["bandit"] = partial(draw_behaviour, report=found["bandit"]["open_loop"])
    if "load" in found:
        painters["load"] = partial(_draw_load, studies=found["load"])
    return painters


def _draw_load(path: Path, studies: dict[str, Any]) -> None:
    """Learning curves by size of the set: people with their 95 % intervals, copies as lines."""
    with figure_for(path, (9.6, 2.9)) as figure:
        for place, (study, entry) in enumerate(studies.items(), 1):
            axes = figure.add_subplot(1, len(studies), place)
            _curves(axes, entry["open_loop"])
            axes.set_title(study)
            if place == 1:
                axes.set_ylabel("share of right answers")
                handles = axes.get_legend_handles_labels()[0]
        figure.legend(handles[:2], ["people", "copies"], loc="outside lower center", ncols=2)


def _curves(axes: Any, report: dict[str, Any]) -> None:
    shown = np.arange(1, report["iterations"] + 1)
    for who, colour in COLOURS.items():
        mean, low, high = (
            np.array(report[who][key], np.float64).reshape(-1, len(shown)) for key in ("mean", "low", "high")
        )
        for row in range(len(mean)):
            if who == "teacher":
                axes.fill_between(shown, low[row], high[row], color=colour, alpha=0.18, linewidth=0)
            axes.plot(shown, mean[row], color=colour, linewidth=1.2, label=who if row == 0 else None)
    axes.set_xticks([1, 4, 8])
    axes.set_ylim(0.2, 1)
    axes.set_xlabel("time shown")
