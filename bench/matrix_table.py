"""The tables of docs/kernels.md on steps and scans of the rules whose memory is a matrix or two a head."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Rows = Sequence[dict[str, Any]]
Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]


def steps_table(rows: Rows, table: Table) -> str:
    """Agent-steps a second and shares of the bandwidth by width, beside plain torch at the second of the widths."""
    steps = [row for row in rows if row["what"].startswith("step")]
    widths = list(dict.fromkeys(row["what"].split()[-1] for row in steps))
    cells = {(row["rule"], row["what"].split()[-1], row["contestant"]): row for row in steps}
    body = [
        (
            f"`{rule}`",
            *(_step(cells[rule, width, "plures"]) for width in widths),
            f"{cells[rule, widths[1], 'torch']['per_second'] / 1e6:.3f} M",
        )
        for rule in dict.fromkeys(row["rule"] for row in steps)
    ]
    return table(["step, float32, 2 heads of", *widths, f"plain torch at {widths[1]}"], body)


def scans_table(rows: Rows, table: Table) -> str:
    """Tokens a second and what a forward keeps, for each way to make a scan."""
    scans = {(row["rule"], row["contestant"]): row for row in rows if row["what"].startswith("scan")}
    what = next(row["what"] for row in scans.values())
    ways = "cpu", "chunk", "naive"
    body = [
        (f"`{rule}`", *(_scan(scans.get((rule, way))) for way in ways))
        for rule in dict.fromkeys(rule for rule, _ in scans)
    ]
    return table([what, "`cpu`", "`chunk`", "loop"], body)


def _step(row: dict[str, Any]) -> str:
    return f"{row['per_second'] / 1e6:.2f} M, {row['share']:.0%} ({row['share_moved']:.0%})"


def _scan(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return f"{row['per_second'] / 1e6:.3g} M, keeps {row['kept_mib']:.1f} MiB"
