"""The report's pictures. Each function draws one and writes it as a PNG."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from ..demo.plots import COPIES, INK, MUTED, PEOPLE, STYLE
from .cost import Cost
from .parallel import Scaling
from .problems import Solved
from .serial import Pace
from .speedup import Speedup

SHADES = (MUTED, "#e39a80", COPIES, "#9b3f22", "#5b2412")
MARKS = {1: "o", 10: "s", 100: "^", 1_000: "D"}
"""By copies."""


def draw_all(found: Speedup, folder: Path) -> dict[str, Path]:
    """Every picture that there is something to draw for, by name."""
    drawings: dict[str, Callable[[Path, Speedup], None]] = {"serial": draw_serial}
    drawings |= {"parallel": draw_parallel} if found.parallel else {}
    drawings |= {"problems": draw_problems} if found.problems else {}
    drawings |= {"roofline": draw_roofline} if found.cost.machine else {}
    for name, draw in drawings.items():
        with plt.style.context(STYLE):
            draw(folder / f"{name}.png", found)
    return {name: folder / f"{name}.png" for name in drawings}


def draw_serial(path: Path, found: Speedup) -> None:
    """Speed-up over the teacher by the size of the cohort, both ways of asking, and the goal."""
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    paces, teacher = found.serial.paces, found.settings.teacher_seconds
    _line(axes, paces, [pace.run for pace in paces], teacher, COPIES, "the task on the server, too")
    with_act = [pace for pace in paces if pace.act]
    _line(axes, with_act, [pace.act for pace in with_act], teacher, PEOPLE, "step by step over the wire")
    axes.axhline(found.settings.goal, color=MUTED, lw=0.8, ls=":")
    axes.annotate(f"{found.settings.goal:g} times", (paces[0].agents, found.settings.goal), color=MUTED, va="bottom")
    axes.axhline(1, color=INK, lw=0.8)
    axes.annotate("the teacher", (paces[0].agents, 1), color=INK, va="bottom")
    if found.serial.at_goal:
        goal = found.serial.at_goal
        axes.plot([goal.agents], [teacher / goal.run.median], "o", mfc="white", mec=COPIES, ms=9)
        axes.annotate(f"{goal.agents:,} copies", (goal.agents, teacher / goal.run.median), xytext=(8, 8),
                      textcoords="offset points", color=COPIES)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="copies in the cohort", ylabel="times the teacher's pace, each copy")
    axes.set_title("How much faster than its teacher each copy is")
    axes.legend(loc="upper right")
    _save(figure, path)


def draw_parallel(path: Path, found: Speedup) -> None:
    """Speed-up by copies, strong and weak, with the ideal and the fitted law."""
    assert found.parallel is not None
    figure, both = plt.subplots(1, 2, figsize=(8.6, 3.4), layout="constrained")
    for axes, scaling, title in zip(
        both, (found.parallel.strong, found.parallel.weak), ("The same work", "As much work a copy"), strict=True
    ):
        _scaling(axes, scaling)
        axes.set_title(title)
    _save(figure, path)


def _scaling(axes: Any, scaling: Scaling) -> None:
    copies = np.array([each.copies for each in scaling.shared], np.float64)
    pace = np.array([[each.items / s for s in each.seconds.samples] for each in scaling.shared])
    middle, one = np.median(pace, axis=1), float(np.median(pace[0]))
    smooth = np.geomspace(copies[0], copies[-1], 200)
    axes.plot(copies, copies, color=MUTED, lw=0.8, ls=":", label="ideal: as many times as copies")
    law = scaling.law
    label = f"law: σ {law.sigma:.1e}, κ {law.kappa:.1e}"
    axes.plot(smooth, law.throughput(smooth) / one, color=PEOPLE, lw=1.2, label=label)
    spread = np.abs(np.stack([middle - pace.min(axis=1), pace.max(axis=1) - middle])) / one
    axes.errorbar(copies, middle / one, spread, color=COPIES, fmt="o", ms=4, lw=1, label="measured, with its range")
    axes.set(xscale="log", yscale="log", xlabel="copies", ylabel="times one copy")
    axes.legend(loc="upper left", fontsize=7)


def draw_problems(path: Path, found: Speedup) -> None:
    """Quality by seconds as the budget grows, a line for each way and number of copies, a panel for each problem."""
    problems = list(dict.fromkeys(each.problem for each in found.problems))
    figure, panels = plt.subplots(
        1, len(problems), figsize=(max(5.6, 4.2 * len(problems)), 3.4), squeeze=False, layout="constrained"
    )
    for axes, problem in zip(panels[0], problems, strict=True):
        _learning(axes, [each for each in found.problems if each.problem == problem])
        axes.axhline(found.settings.quality, color=MUTED, lw=0.8, ls=":")
        axes.set_title(problem)
    _save(figure, path)


def _learning(axes: Any, solved: list[Solved]) -> None:
    ways = list(dict.fromkeys(each.strategy for each in solved))
    for each in solved:
        taken = [tried.seconds.median for tried in each.tries]
        quality = np.array([[tried.quality.median, tried.quality.least, tried.quality.most] for tried in each.tries])
        colour, mark = SHADES[ways.index(each.strategy) % len(SHADES)], MARKS.get(each.copies, "o")
        axes.fill_between(taken, quality[:, 1], quality[:, 2], color=colour, alpha=0.08, lw=0)
        label = f"{each.strategy}, {each.copies:,}"
        axes.plot(taken, quality[:, 0], f"{mark}-", color=colour, ms=4, lw=1, label=label)
    axes.set(xscale="log", xlabel="seconds", ylabel="quality (1: nothing left to be wished)", ylim=(0, 1.05))
    axes.legend(loc="lower right", fontsize=6, title="by, copies", title_fontsize=6)


def draw_roofline(path: Path, found: Speedup) -> None:
    """Arithmetic reached, beside what memory and products allow at a step's flops a byte."""
    cost = found.cost
    assert cost.machine is not None
    figure, axes = plt.subplots(figsize=(6.4, 3.4))
    ridge = cost.machine.flops_per_second / cost.machine.bytes_per_second
    intensity = np.geomspace(min(0.25, cost.flops_a_byte / 4), max(4 * ridge, 4 * cost.flops_a_byte), 200)
    roof = np.minimum(intensity * cost.machine.bytes_per_second, cost.machine.flops_per_second)
    axes.plot(intensity, roof / 1e9, color=INK, lw=1.5)
    axes.annotate(f"memory, {cost.machine.bytes_per_second / 1e9:.0f} GB/s", (intensity[20], roof[20] / 1e9),
                  xytext=(6, -12), textcoords="offset points", color=MUTED)  # fmt: skip
    axes.annotate(f"products, {cost.machine.flops_per_second / 1e9:.0f} Gflop/s", (intensity[-1], roof[-1] / 1e9),
                  xytext=(0, 5), textcoords="offset points", ha="right", color=MUTED)  # fmt: skip
    for pace in found.serial.paces:
        _point(axes, cost, pace, is_last=pace is found.serial.paces[-1])
    axes.set(xscale="log", yscale="log", xlabel="flops a byte of state moved", ylabel="Gflop/s")
    axes.set_title("What the machine allows, and what cohorts reach")
    _save(figure, path)


def _point(axes: Any, cost: Cost, pace: Pace, is_last: bool) -> None:
    reached = pace.steps_per_second * cost.flops / 1e9
    axes.plot([cost.flops_a_byte], [reached], "o", color=COPIES, ms=5, alpha=1.0 if is_last else 0.45)
    axes.annotate(f"{pace.agents:,}", (cost.flops_a_byte, reached), xytext=(7, -3), textcoords="offset points",
                  color=COPIES if is_last else MUTED, fontsize=7)  # fmt: skip


def _line(axes: Any, paces: list[Pace], spreads: list[Any], teacher: float, colour: str, label: str) -> None:
    middle = np.array([teacher / spread.median for spread in spreads])
    around = np.array([[teacher / spread.most, teacher / spread.least] for spread in spreads]).T
    errors = np.abs(np.stack([middle - around[0], around[1] - middle]))
    axes.errorbar([pace.agents for pace in paces], middle, errors, fmt="o-", color=colour, ms=4, lw=1.4, label=label)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path)
    plt.close(figure)
