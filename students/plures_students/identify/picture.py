"""One picture of members beside a teacher."""

from pathlib import Path
from typing import Any

from .recovery_picture import figure_and_saver

_INK, _PALE = "#d1603d", "#303030"


def draw_members(path: Path, report: dict[str, Any]) -> None:
    """What each member loses to the best, and its share of the lives, with 95 % intervals, as a PNG."""
    rows = report["members"][::-1]
    figure, save = figure_and_saver((8.4, 1.2 + 0.32 * len(rows)))
    behind, share = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for axes, key, colour in ((behind, "behind_best", _INK), (share, "share", _PALE)):
        for place, row in enumerate(rows):
            found = row[key]
            spread = [[max(0.0, found["mean"] - found["low"])], [max(0.0, found["high"] - found["mean"])]]
            axes.errorbar(found["mean"], place, xerr=spread, fmt="o", color=colour, markersize=5, capsize=3)
    behind.set_yticks(range(len(rows)), [row["member"] for row in rows])
    behind.set_xscale("symlog", linthresh=0.01)
    behind.set_title("behind the best, nats a choice")
    share.set_xlim(-0.02, 1.02)
    share.set_title("share of lives")
    save(path)
