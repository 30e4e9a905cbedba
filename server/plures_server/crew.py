"""The crew: threads that step tiles side by side on a CPU. Tiles touch different agents, so they share nothing."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import torch
from plures_kernels.threads import use_one_core


class Crew:
    """A thread a core on a CPU; on a GPU the device works in parallel by itself, and the caller's thread does all."""

    def __init__(self, device: torch.device) -> None:
        self.workers = torch.get_num_threads() if device.type == "cpu" else 1
        self._threads: ThreadPoolExecutor | None = None
        if device.type == "cpu":
            # Two levels of threads would get in each other's way: cores are given to tiles, not to parts of one.
            self._threads = ThreadPoolExecutor(self.workers, "tile", use_one_core)

    def each(self, work: Callable[[slice], None], tiles: Sequence[slice]) -> None:
        """Do the work for every tile; raise what the first failing one raised, when all have ended."""
        if self._threads is None:
            for tile in tiles:
                work(tile)
            return
        inferring = torch.inference_mode()(work)
        done = [self._threads.submit(inferring, tile) for tile in tiles]
        wait(done)
        for tile_done in done:
            tile_done.result()

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown()
