"""The crew: threads that step tiles side by side on a CPU. Tiles touch different agents, so they share nothing."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch


class Crew:
    """`workers` threads. On a GPU there is one: the device itself works in parallel."""

    def __init__(self, device: torch.device) -> None:
        self.workers = torch.get_num_threads() if device.type == "cpu" else 1
        self._threads = ThreadPoolExecutor(self.workers, "tile", initializer=_work_alone)

    def each(self, work: Callable[[slice], None], tiles: Sequence[slice]) -> None:
        """Do the work for every tile; raise what the first failing one raised, when all have ended."""
        if len(tiles) == 1 or self.workers == 1:
            for tile in tiles:
                work(tile)
            return
        inferring = torch.inference_mode()(work)
        for done in [self._threads.submit(inferring, tile) for tile in tiles]:
            done.result()

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


def _work_alone() -> None:
    # Two levels of threads would get in each other's way: cores are given to tiles, not to the operators within one.
    torch.set_num_threads(1)
