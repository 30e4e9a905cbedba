"""The demo's pictures. Each function draws one and writes it as a PNG."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .become import Becoming
from .learned import Learned
from .solving import Solved

INK, MUTED, PEOPLE, COPIES = "#222222", "#8a8a8a", "#3b6fb6", "#d1603d"
STYLE = Path(__file__).with_name("style.mplstyle")


def draw_learned(path: Path, learned: Learned) -> None:
    """Likelihood of held-out people's choices, by model."""
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(figsize=(5.2, 2.2))
        models = learned.scores[::-1]
        colours = [COPIES if model.name == "student" else MUTED for model in models]
        likelihood = [model.likelihood for model in models]
        axes.barh([model.label for model in models], likelihood, color=colours, height=0.6)
        for row, model in enumerate(models):
            axes.text(model.likelihood + 0.006, row, f"{model.likelihood:.3f}", va="center", color=INK)
        axes.set_xlim(0.45, 0.85)
        axes.set_xlabel("likelihood of a choice, exp(−NLL); axis from .45")
        axes.set_title(f"How well it predicts {learned.people} people it never saw")
        axes.tick_params(axis="y", length=0)
        _save(figure, path)


def draw_becoming(path: Path, becoming: Becoming) -> None:
    """Everyone's last block: predicted by a newborn, and by an agent that lived the blocks before."""
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(figsize=(4.2, 3.6))
        for fresh, became in zip(becoming.fresh, becoming.became, strict=True):
            axes.plot([0, 1], [fresh, became], color=COPIES if became < fresh else MUTED, lw=1, alpha=0.7)
        means = [becoming.fresh.mean(), becoming.became.mean()]
        axes.plot([0, 1], means, color=INK, lw=2.5, marker="o")
        axes.set_xticks([0, 1], ["newborn", "became the person"])
        axes.set_xlim(-0.2, 1.2)
        axes.set_ylabel("NLL per press, last block (lower is better)")
        axes.set_title(f"Becoming a person: {becoming.gain:+.3f} ± {becoming.standard_error:.3f} nats")
        _save(figure, path)


def draw_solved(path: Path, solved: list[Solved]) -> None:
    """Quality, time and speed-up by the number of copies."""
    copies = np.array([each.answer.copies for each in solved])
    with plt.style.context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.0), layout="constrained")
        left.semilogx(copies, [each.answer.quality for each in solved], "o-", color=COPIES)
        left.set_ylim(0, 1.05)
        left.axhline(1, color=MUTED, lw=0.8, ls=":")
        left.set_title("What they found")
        left.set_ylabel("rate of the chosen arm / best rate")
        right.loglog(copies, copies, color=MUTED, lw=0.8, ls=":", label="as many times as copies")
        right.loglog(copies, [each.speed_up_over_one for each in solved], "o-", color=COPIES, label="over one copy")
        right.loglog(
            copies, [each.speed_up_over_person for each in solved], "s-", color=PEOPLE, label="over the person"
        )
        right.set_title("How fast")
        right.set_ylabel("pulls per second, times")
        right.legend()
        for axes in (left, right):
            axes.set_xlabel("copies")
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path)
    plt.close(figure)
