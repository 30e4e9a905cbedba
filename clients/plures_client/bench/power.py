"""Watts, where the machine tells: Intel's and AMD's energy counters, or the GPU's own meter."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

COUNTERS = Path("/sys/class/powercap")


def watts_of(work: Callable[[], object], device: str, counters: Path = COUNTERS) -> float | None:
    """What the device takes on average while it works; None where nothing tells."""
    if device.startswith("cuda"):
        work()
        return _gpu_watts()
    packages = _readable(counters)
    if not packages:
        work()
        return None
    before, began = _joules(packages), time.perf_counter()
    work()
    joules, passed = _joules(packages) - before, time.perf_counter() - began
    # A counter that began again at zero tells nothing.
    return joules / passed if joules > 0 else None


def _readable(counters: Path) -> list[Path]:
    """The packages' counters, not those of their parts; some systems show them to root alone."""
    found = []
    for path in sorted(counters.glob("intel-rapl:*/energy_uj")):
        if path.parent.name.count(":") == 1:
            try:
                path.read_text()
            except OSError:
                continue
            found.append(path)
    return found


def _joules(packages: list[Path]) -> float:
    return sum(int(path.read_text()) for path in packages) / 1e6


def _gpu_watts() -> float | None:
    """The average over the meter's own last second."""
    if shutil.which("nvidia-smi") is None:
        return None
    asked = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    try:
        return sum(map(float, told)) if told else None
    except ValueError:
        return None
