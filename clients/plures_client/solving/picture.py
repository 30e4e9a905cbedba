"""The picture of a comparison: what each way found, how long it took, and the laws."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from .compare import Comparison
from .report import rates, regrets

FORMATS = frozenset(FigureCanvasAgg.get_supported_filetypes())
"""What files of pictures end with."""
INK, MUTED, OURS = "#222222", "#8a8a8a", "#d1603d"


def draw(comparison: Comparison, path: Path) -> None:
    """Write it as the file's ending says (.png, .svg, .pdf)."""
    panels = 4 if comparison.swept else 2
    figure, axes = plt.subplots(1, panels, figsize=(3.4 * panels, 3.0), layout="constrained")
    _draw_bars(axes[0], comparison, "quality", comparison.unit)
    _draw_bars(axes[1], comparison, "seconds", "seconds")
    if comparison.swept:
        _draw_points(axes[2], *rates(comparison), "steps a second")
        _draw_points(axes[3], *regrets(comparison), "what is left to be wished")
    figure.suptitle(f"{comparison.problem}: {comparison.copies} copies × {comparison.steps} steps")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_bars(axes: Axes, comparison: Comparison, what: str, label: str) -> None:
    standings = comparison.standings()
    values = [getattr(standing, what) for standing in standings]
    errors = [getattr(standing, f"{what}_error") for standing in standings]
    colours = [MUTED] + [OURS] * (len(standings) - 1)
    axes.bar([standing.way for standing in standings], values, yerr=errors, color=colours, ecolor=INK, capsize=3)
    axes.set_ylabel(label, fontsize=8)
    axes.tick_params(axis="x", rotation=30)


def _draw_points(axes: Axes, copies: list[int], values: list[float], label: str) -> None:
    axes.loglog(copies, np.maximum(values, 1e-12), "o-", color=OURS)
    axes.set_xlabel("copies")
    axes.set_ylabel(label, fontsize=8)
