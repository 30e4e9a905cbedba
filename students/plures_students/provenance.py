"""Where results come from: what was measured, by which command, on which machine, at which commit, and when."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

GIB = 2**30


def made(part: str, command: str) -> dict[str, str]:
    """What a file of results says of itself."""
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    return {"part": part, "machine": machine(), "commit": commit(), "measured": measured, "command": command}


@cache
def processor() -> str:
    """Its model, as the system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


@cache
def commit() -> str:
    """The commit of this code, `-dirty` when tracked files differ from it; `unknown` outside a checkout of it."""
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return "unknown"
    return _git("describe", "--always", "--dirty", "--abbrev=9") or "unknown"


@cache
def machine() -> str:
    """One line: processor, cores, memory, GPU, versions, commit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return "; ".join([f"{processor()}, {cores} cores, {memory:.0f} GiB", *gpu, versions, f"commit {commit()}"])


def _git(*arguments: str) -> str | None:
    """What git says of the folder of this file; None when it fails or is not there."""
    try:
        said = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )  # fmt: skip
    except OSError:
        return None
    return said.stdout.strip() if said.returncode == 0 else None
