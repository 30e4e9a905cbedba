"""One picture of members beside a teacher."""

from pathlib import Path
from typing import Any

from ..fidelity.picture import figure_for

_INK, _PALE = "#d1603d", "#303030"
_LINEAR = 0.01
"""Nats a choice up to which differences are drawn in proportion; beyond, by powers of ten."""


def draw_members(path: Path, report: dict[str, Any]) -> None:
    """What each member loses to the best, and its share of the lives, with 95 % intervals, as a PNG."""
    rows = report["members"][::-1]
    with figure_for(path, (8.4, 1.2 + 0.32 * len(rows))) as figure:
        behind, share = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        for axes, key, colour in ((behind, "behind_best", _INK), (share, "share", _PALE)):
            for place, row in enumerate(rows):
                found = row[key]
                spread = [[max(0.0, found["mean"] - found["low"])], [max(0.0, found["high"] - found["mean"])]]
                axes.errorbar(found["mean"], place, xerr=spread, fmt="o", color=colour, markersize=5, capsize=3)
        behind.set_yticks(range(len(rows)), [row["member"].replace("_", " ") for row in rows])
        behind.set_xscale("symlog", linthresh=_LINEAR)
        behind.set_xlim(left=min(row["behind_best"]["low"] for row in rows) - _LINEAR / 10)
        behind.set_xlabel("nats a choice")
        behind.set_title("Behind the best")
        share.set_xlim(-0.02, 1.02)
        share.set_title("Share of lives")
