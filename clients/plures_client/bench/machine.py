"""What stands where a bench runs: processor, versions, commit; and how fast its memory and its arithmetic are.

Both rates are measured with NumPy on all cores. They tell of the server's machine only when that is this one.
"""

import os
import platform
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .spread import seconds

PACKAGES = ("plures", "numpy", "grpcio", "protobuf")
BUFFER_FLOATS = 1 << 26
"""256 MiB: far more than the caches."""
GEMM = 1024
BEST_OF = 7
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "unix:")


@dataclass(frozen=True)
class Rates:
    """`bytes_per_second` that memory is read and written with in place, both counted; float32 `flops_per_second` of
    matrix products.
    """

    bytes_per_second: float
    flops_per_second: float


def rates(address: str, device: str) -> Rates | None:
    """Those of the machine that serves; None when it is another one, or steps on something else than its processor."""
    return Rates(_bandwidth(), _gemm()) if device == "cpu" and address.startswith(LOOPBACK) else None


def facts() -> dict[str, object]:
    """Processor, cores, memory, versions, and the commit of this checkout (`unknown` outside of one)."""
    return {
        "machine": f"{_processor()}, {cores()} cores, {_memory_gib():.0f} GiB",
        "commit": _commit(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bandwidth() -> float:
    buffer = np.ones(BUFFER_FLOATS, np.float32)
    parts = np.array_split(buffer, cores())

    def in_place(part: np.ndarray) -> None:
        np.multiply(part, np.float32(1), out=part)

    with ThreadPoolExecutor(cores()) as threads:
        return 2 * buffer.nbytes / _best(lambda: list(threads.map(in_place, parts)))


def _gemm() -> float:
    a, b = (np.random.default_rng(0).random((GEMM, GEMM), np.float32) for _ in range(2))
    return 2 * GEMM**3 / _best(lambda: a @ b)


def _best(work: Callable[[], object]) -> float:
    """The best of a few, for what the machine can do at most."""
    work()
    return min(seconds(work) for _ in range(BEST_OF))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=9"]
    try:
        described = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return described.stdout.strip() or "unknown"
