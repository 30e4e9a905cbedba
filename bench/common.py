"""What every bench prints and writes: the machine and the commit; the memory bandwidth to measure by; fair timings."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from plures_students.provenance import GIB, commit, machine, made, processor
from plures_students.writing import write_json as write_whole
from torch import Tensor

__all__ = [
    "GIB",
    "command",
    "commit",
    "copy",
    "machine",
    "processor",
    "read_modify_write",
    "rounds_in_turn",
    "seconds_in_turn",
    "write_json",
]


def command() -> str:
    """The script that runs, as one types it."""
    return f"python bench/{Path(sys.argv[0]).name}"


def write_json(path: Path, part: str, rows: Sequence[Mapping[str, Any]], **facts: Any) -> None:
    """One file a bench: what was measured, where, when, on which commit, and the rows of its table."""
    report = {**made(part, command()), **facts, "rows": list(rows)}
    write_whole(path, report)


def seconds_in_turn(contestants: Mapping[str, Callable[[], object]], budget_seconds: float = 1.5) -> dict[str, float]:
    """The best time of each, of those that `rounds_in_turn` takes."""
    return {name: min(taken) for name, taken in rounds_in_turn(contestants, budget_seconds).items()}


def rounds_in_turn(
    contestants: Mapping[str, Callable[[], object]], budget_seconds: float = 1.5
) -> dict[str, list[float]]:
    """The times of each over as many rounds as the budget allows, at least three, after one that is not measured.

    They take turns, so that they meet the same neighbours on the machine.
    """
    for run in contestants.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    begun = time.perf_counter()
    while len(next(iter(taken.values()))) < 3 or time.perf_counter() - begun < budget_seconds:
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return taken


def read_modify_write(buffer: Tensor) -> Callable[[], object]:
    """The least that a step must do to all of a buffer: read it and write it, in place."""
    return lambda: buffer.mul_(1.0)


def copy(buffer: Tensor) -> Callable[[], object]:
    """Copy the first half of a buffer (along its first axis) onto the second."""
    half = len(buffer) // 2
    return lambda: buffer[half : 2 * half].copy_(buffer[:half])
