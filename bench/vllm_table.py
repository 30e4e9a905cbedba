"""The tables of docs/vllm.md: steps a second of each contestant, by agents or by history."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

# Of the rows by agents, and of those by history: what all of them have in common.
FIXED = {"agents": ("history", 64), "history": ("agents", 8)}
Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]


def vllm_table(rows: Sequence[dict[str, Any]], by: str, table: Table) -> str:
    """A column for each size; a cell is empty where a step was to take longer than the bench gives it."""
    other, value = FIXED[by]
    found = {(row["who"], row[by]): row["steps_per_second"] for row in rows if row[other] == value}
    sizes = sorted({size for _, size in found})
    names = dict.fromkeys(row["who"] for row in rows)
    cells = ((name, *(_rate(found.get((name, size))) for size in sizes)) for name in names)
    return table([by if by == "agents" else "tokens lived", *(f"{size:,}" for size in sizes)], cells)


def _rate(steps_per_second: float | None) -> str:
    return "" if steps_per_second is None else f"{steps_per_second:,.0f}"
