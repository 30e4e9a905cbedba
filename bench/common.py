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
    """The best time of each over as many rounds as the budget allows, at least three, after one that is not measured.

    They take turns, so that they meet the same neighbours on the machine.
    """
    for run in contestants.values():
        run()
    best = dict.fromkeys(contestants, float("inf"))
    begun, rounds = time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - begun < budget_seconds:
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
        rounds += 1
    return best


def read_modify_write(buffer: Tensor) -> Callable[[], object]:
    """The least that a step must do to all of a buffer: read it and write it, in place."""
    return lambda: buffer.mul_(1.0)


def copy(buffer: Tensor) -> Callable[[], object]:
    """Copy the first half of a buffer (along its first axis) onto the second."""
    half = len(buffer) // 2
    return lambda: buffer[half : 2 * half].copy_(buffer[:half])
