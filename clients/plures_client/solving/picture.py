"""The picture of a comparison: what each way found, how long it took, and how both change with more copies."""

from pathlib import Path
from textwrap import fill

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import FuncFormatter, LogLocator

from .compare import Comparison
from .report import rates, regrets

FORMATS = frozenset(FigureCanvasAgg.get_supported_filetypes())
"""What files of pictures end with."""
WRAPPED = 32
"""Characters of a line of a label."""
INK, MUTED, OURS = "#222222", "#8a8a8a", "#d1603d"


def draw(comparison: Comparison, path: Path) -> None:
    """Write it as the file's ending says (.png, .svg, .pdf)."""
    panels = 4 if comparison.swept else 2
    figure, axes = plt.subplots(1, panels, figsize=(3.4 * panels, 3.2), layout="constrained")
    _draw_bars(axes[0], comparison, "quality", comparison.unit)
    if comparison.chance is not None:
        axes[0].axhline(comparison.chance, color=INK, lw=0.8, ls=":")
        axes[0].annotate(
            "at random", (0.5, comparison.chance), xycoords=("axes fraction", "data"), fontsize=7, va="bottom"
        )
    _draw_bars(axes[1], comparison, "seconds", "seconds")
    if comparison.swept:
        _draw_points(axes[2], *rates(comparison), "steps a second")
        _draw_points(axes[3], *regrets(comparison), "what is left to be wished")
    figure.suptitle(f"{comparison.problem}: {comparison.copies:,} copies × {comparison.steps:,} steps")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_bars(axes: Axes, comparison: Comparison, what: str, label: str) -> None:
    standings = comparison.standings()
    values = [getattr(standing, what) for standing in standings]
    errors = [getattr(standing, f"{what}_error") for standing in standings]
    colours = [MUTED] + [OURS] * (len(standings) - 1)
    axes.bar([standing.way for standing in standings], values, yerr=errors, color=colours, ecolor=INK, capsize=3)
    axes.set_ylabel(fill(label, WRAPPED), fontsize=8)
    axes.tick_params(axis="x", rotation=30)


def _draw_points(axes: Axes, copies: list[int], values: list[float], label: str) -> None:
    axes.loglog(copies, np.maximum(values, 1e-12), "o-", color=OURS)
    # Each number of copies that was tried, as it is; powers of ten would run into each other.
    axes.set_xticks(copies, [f"{count:,}" for count in copies], rotation=30)
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlabel("copies")
    axes.set_ylabel(label, fontsize=8)
