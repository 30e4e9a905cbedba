"""What past_horizon.py measured, as a table and as a picture. K bins of steps."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plures_students.fidelity.picture import figure_for

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]
COLOURS = {"gated_delta": "#d1603d", "average": "#2f9e63", "td": "#8a4fbf", "context": "#3d7ad1"}
_TEACHER = "#303030"


def band(curve: dict[str, list[float]]) -> tuple[Any, Any]:
    """Where the mean of as many other lives of the teacher falls in 95 of 100 cases: [K] lowest, [K] highest.

    Both the mean that was seen and the one that is asked about err.
    """
    mean, error = np.array(curve["mean"]), np.array(curve["standard_error"])
    reach = 1.96 * np.sqrt(2) * error
    return mean - reach, mean + reach


def left_at(teacher: dict[str, Any], student: dict[str, Any]) -> int | None:
    """The step from which on the student's reward stays outside the teacher's band; None if it ends inside."""
    low, high = band(teacher["reward"])
    reward = np.array(student["copies_reward"]["mean"])
    outside = (reward < low) | (reward > high)
    if not outside[-1]:
        return None
    inside = np.flatnonzero(~outside)
    return int(teacher["until"][inside[-1]]) if len(inside) else 0


def horizon_table(found: dict[str, Any], table: Table) -> str:
    """A row a student: its reward in the last bin beside the teacher's band, and its divergence from the teacher."""
    teachers = {teacher["case"]: teacher for teacher in found["teachers"]}
    heads = (
        "teacher: student, training seed", "slow weights", "state, bytes", "reward at the end", "teacher's band",
        "left the band", "0.05 nats until", "nats a step, teacher's lives", "copies' lives", "teacher from itself",
    )  # fmt: skip
    ordered = sorted(found["rows"], key=lambda row: (list(teachers).index(row["case"]), row["member"], row["seed"]))
    return table(heads, [_cells(teachers[row["case"]], row) for row in ordered])


def _cells(teacher: dict[str, Any], row: dict[str, Any]) -> tuple[str, ...]:
    low, high = (bound[-1] for bound in band(teacher["reward"]))
    left = left_at(teacher, row)
    return (
        f"{row['case']}, {teacher['shown']} of {row['until'][-1]} steps shown: {row['member']}, {row['seed']}",
        f"{row['parameters']:,}",
        f"{row['state_bytes']:,}",
        f"{row['copies_reward']['mean'][-1]:.3f}",
        f"{low:.3f} to {high:.3f}",
        "no" if left is None else f"at {left:,}",
        f"{row['horizon']:,}",
        *(f"{row[key]['mean'][-1]:.3f}" for key in ("on_teacher", "on_copies")),
        f"{teacher['floor']['mean'][-1]:.3f}",
    )


def verdicts(found: dict[str, Any]) -> str:
    """A line a teacher: which students stayed in its band, and which did not."""
    return "\n".join(_verdict(teacher, found["rows"]) for teacher in found["teachers"])


def _verdict(teacher: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    said = []
    changing = {row["member"] for row in rows if row["case"] == teacher["case"]} - {"context"}
    for member in (*sorted(changing), "context"):
        of = [row for row in rows if (row["case"], row["member"]) == (teacher["case"], member)]
        inside = sum(left_at(teacher, row) is None for row in of)
        said.append(f"{member} ends in its band in {inside} of {len(of)}" if of else f"{member} was not measured")
    facts = "`{teacher}` in `{world}` ({shown_lives} lives of {shown} steps shown, {lives} go on)".format(**teacher)
    return f"- {facts}: {'; '.join(said)}."


def draw_horizon(path: Path, found: dict[str, Any]) -> None:
    """Learning curves of teachers, with their bands, and of students, as a PNG."""
    rows = -(-len(found["teachers"]) // 2)
    with figure_for(path, (8.6, 3.1 * rows)) as figure:
        for place, teacher in enumerate(found["teachers"], 1):
            axes = figure.add_subplot(rows, 2, place)
            low, high = band(teacher["reward"])
            until = np.array(teacher["until"])
            axes.fill_between(until, low, high, color=_TEACHER, alpha=0.15, linewidth=0)
            axes.plot(until, teacher["reward"]["mean"], color=_TEACHER, linewidth=1.6, label="teacher")
            for row in found["rows"]:
                if row["case"] == teacher["case"]:
                    label = row["member"].replace("_", " ") if row["seed"] == 0 else None
                    axes.plot(
                        until, row["copies_reward"]["mean"], color=COLOURS[row["member"]], linewidth=1.3, label=label
                    )
            axes.axvline(teacher["shown"], color="#909090", linewidth=0.8, linestyle=(0, (4, 3)))
            axes.set_xscale("log")
            axes.set_title(f"{teacher['case'].replace('_', ' ')} in {teacher['world']}", fontsize=9)
            axes.set_xlabel("step of life (dashed: where the recording ended)", fontsize=8)
            axes.set_ylabel("reward a step", fontsize=8)
        for axes in figure.axes:
            axes.legend(fontsize=7)
