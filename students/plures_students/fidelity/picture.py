"""One picture of teacher and copies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {"teacher": "#303030", "copies": "#d1603d"}
STYLE: dict[Any, Any] = {
    "axes.edgecolor": "#8a8a8a",
    "axes.labelcolor": "#222222",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "font.size": 9,
    "legend.frameon": False,
    "xtick.color": "#8a8a8a",
    "ytick.color": "#8a8a8a",
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
}


@contextmanager
def figure_for(path: Path, inches: tuple[float, float]) -> Iterator[Any]:
    """A figure in the style of all, which is saved as a PNG when it is drawn."""
    # Imported here: what does not draw needs no matplotlib.
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Axes take the style in which they are made.
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=inches, dpi=160, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.savefig(path)


def draw_behaviour(path: Path, report: dict[str, Any]) -> None:
    """Draw what `compare_lives` found as a PNG; bands and whiskers are its 95 % intervals."""
    panels = [_PANELS[name] for name in _PANELS if name == "run_length" or name in report["measures"]]
    with figure_for(path, (7.2, 5.6)) as figure:
        for place, panel in enumerate(panels, 1):
            panel(figure.add_subplot(2, 2, place), report)
        _legend(figure, report)


def _legend(figure: Any, report: dict[str, Any]) -> None:
    handles = figure.axes[0].get_legend_handles_labels()[0]
    labels = [f"{who} ({report['lives'][who]:,} lives)" for who in COLOURS]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _numbers(values: dict[str, Any]) -> list[Any]:
    """Means, and what they are between; NaN, which is not drawn, for what never happened."""
    return [np.array(values[key], np.float64) for key in ("mean", "low", "high")]


def _curve(axes: Any, report: dict[str, Any], name: str) -> None:
    for who, colour in COLOURS.items():
        mean, low, high = _numbers(report["measures"][name][who])
        trial = (np.arange(len(mean)) + 0.5) * report["trials_a_place"]
        axes.fill_between(trial, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(trial, mean, color=colour, linewidth=1.8, label=who)
    axes.set_xlim(left=0)
    axes.set_xlabel("choice in the episode")


def _best(axes: Any, report: dict[str, Any]) -> None:
    _curve(axes, report, "best_by_trial")
    axes.axhline(1 / report["actions"], color="#b0b0b0", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_title("They learn which is best")
    axes.set_ylabel("share choosing the best")


def _switch(axes: Any, report: dict[str, Any]) -> None:
    _curve(axes, report, "switch_by_trial")
    axes.set_title("They settle")
    axes.set_ylabel("share switching")
    axes.set_ylim(bottom=0)


def _stay(axes: Any, report: dict[str, Any]) -> None:
    for shift, (who, colour) in zip((-0.09, 0.09), COLOURS.items(), strict=True):
        mean, low, high = _numbers(report["measures"]["stay_by_reward"][who])
        place = np.arange(2) + shift
        axes.errorbar(place, mean, [mean - low, high - mean], fmt="o", color=colour, capsize=3, markersize=6, label=who)
    axes.set_xticks([0, 1], ["no reward", "reward"])
    axes.set_xlim(-0.5, 1.5)
    axes.set_title("What a reward does")
    axes.set_ylabel("share staying after")


def _runs(axes: Any, report: dict[str, Any]) -> None:
    for who, colour in COLOURS.items():
        share = report["run_length"][who]["share_at_least"]
        length = 2.0 ** np.arange(len(share))
        axes.plot(length, share, color=colour, linewidth=1.8, marker="o", markersize=3.5, label=who)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(2.0 ** np.arange(0, 9, 2), [str(2**power) for power in range(0, 9, 2)])
    axes.set_title("How long they persist")
    axes.set_xlabel("choices in a row")
    axes.set_ylabel("share of runs at least so long")


_PANELS = {"best_by_trial": _best, "stay_by_reward": _stay, "run_length": _runs, "switch_by_trial": _switch}
