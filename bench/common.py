"""What every bench prints and writes: the machine and the commit; the memory bandwidth to measure by; fair timings."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

GIB = 2**30


@cache
def processor() -> str:
    """Its model, as the system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


@cache
def commit() -> str:
    """The commit that is measured, `-dirty` when tracked files differ from it; `unknown` outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=9"]
    described = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"


@cache
def machine() -> str:
    """One line: processor, cores, memory, GPU, versions, commit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return "; ".join([f"{processor()}, {cores} cores, {memory:.0f} GiB", *gpu, versions, f"commit {commit()}"])


def command() -> str:
    """The script that runs, as one types it."""
    return f"python bench/{Path(sys.argv[0]).name}"


def write_json(path: Path, part: str, rows: Sequence[Mapping[str, Any]], **facts: Any) -> None:
    """One file a bench: what was measured, where, when, on which commit, and the rows of its table."""
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    known = {"part": part, "machine": machine(), "commit": commit(), "measured": measured, "command": command()}
    report = {**known, **facts, "rows": list(rows)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


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
