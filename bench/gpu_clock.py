"""Time on a GPU, by its own events: what the kernels take when the host launches them, and in a CUDA graph."""

from collections.abc import Callable
from statistics import median

import torch

WARM_UP, LEAST_ROUNDS, MOST_ROUNDS, BUDGET_SECONDS = 3, 5, 200, 0.25


def seconds(run: Callable[[], object]) -> float:
    """The median over as many rounds as a quarter of a second allows, after some that are not measured."""
    for _ in range(WARM_UP):
        run()
    rounds = min(MOST_ROUNDS, max(LEAST_ROUNDS, int(BUDGET_SECONDS / max(_once(run), 1e-6))))
    return median(_once(run) for _ in range(rounds))


def graph_seconds(run: Callable[[], object]) -> float:
    """The same for its replay from a CUDA graph, where launching costs the host nothing."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return seconds(graph.replay)


def copy_bandwidth(gigabytes: float = 2.0) -> float:
    """Bytes a second, both ways counted, of copying one half of so much memory onto the other."""
    halves = torch.empty(2, int(gigabytes * 2**29), dtype=torch.uint8, device="cuda")
    return halves.nbytes / seconds(lambda: halves[1].copy_(halves[0]))


def _once(run: Callable[[], object]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3
